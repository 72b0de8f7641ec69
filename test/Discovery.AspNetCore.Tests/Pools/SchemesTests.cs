using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Tests.Pools;

/// <summary>Where servers listen with http and with https, nothing is made ready for calls that nobody makes.</summary>
public sealed class SchemesTests
{
    /// <summary>All instances are gone through, or what has changed is.</summary>
    public static TheoryData<int> Sizes => [10, 300];

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Of_http_and_https_only_what_is_called_is_made_ready_and_the_other_by_its_first_call(int size)
    {
        var policy = new RecordingPolicy();
        using var service = new ChangingService(Records(size), Options("http"), policy);
        Call(service, "http");
        ChangeBoth(service);
        policy.Lists.Clear();

        ChangeBoth(service);
        Assert.Equal(["http"], policy.Lists);

        Call(service, "http");
        Assert.Equal(["http"], policy.Lists);

        Call(service, "https");
        Assert.Equal(["http", "https"], policy.Lists);

        ChangeBoth(service);
        Assert.Equal(["http", "https", "http", "https"], policy.Lists);
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void A_client_of_https_has_nothing_made_ready_for_http(int size)
    {
        var policy = new RecordingPolicy();
        using var service = new ChangingService(Records(size), Options("https"), policy);
        Call(service, "https");
        ChangeBoth(service);

        Assert.DoesNotContain("http", policy.Lists);
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Before_the_first_call_one_thing_is_made_ready_whatever_there_is(int size)
    {
        var policy = new RecordingPolicy();
        using var service = new ChangingService(Records(size).Select(static r => r with { Scheme = "https" }), Options("http"), policy);
        ChangeBoth(service);
        policy.Lists.Clear();

        // The policy of the application may throw, and then it is to do so before there are calls.
        ChangeBoth(service);
        Assert.Equal(["https"], policy.Lists);

        service.Put(Records(size));
        service.Build();
        Assert.Equal("http", policy.Lists[^1]);
    }

    private static EtcdDiscoveryOptions Options(string scheme) => new() { Policy = BalancingPolicies.RoundRobin, Scheme = scheme, SlowStart = TimeSpan.Zero };

    private static IEnumerable<ServiceInstance> Records(int count)
        => Enumerable.Range(0, count).Select(static i => ChangingService.Record(i) with { Scheme = i % 2 == 0 ? "http" : "https" });

    private static void Call(ChangingService service, string scheme)
    {
        var picked = service.Current.For(new CallNeeds(scheme, InstanceProtocols.Http2, Version: null), hashKey: null)!.Pick(default);
        Assert.Equal(scheme, picked!.Record.Scheme);
    }

    /// <summary>An instance of either scheme gets another weight.</summary>
    private static void ChangeBoth(ChangingService service)
    {
        service.Put(service.Current.Snapshot.Instances.OrderBy(static r => r.Key, StringComparer.Ordinal).Take(10).Select(static r => r with { Weight = r.Weight + 10 }));
        service.Build();
    }

    /// <summary>Keeps of which schemes the instances were that it was asked about.</summary>
    private sealed class RecordingPolicy : IBalancingPolicy
    {
        public List<string> Lists { get; } = [];

        public string Name => "Recording";

        public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances)
        {
            Lists.Add(string.Join(',', instances.Select(static i => i.Record.Scheme).Distinct().Order()));
            return new FirstPicker(instances[0]);
        }

        private sealed class FirstPicker(InstanceState instance) : InstancePicker
        {
            public override InstanceState Pick(in PickArguments arguments) => instance;
        }
    }
}
