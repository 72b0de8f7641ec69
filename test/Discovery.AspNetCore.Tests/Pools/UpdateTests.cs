using System.Globalization;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Tests.Pools;

/// <summary>
/// What a pool makes of a few changes is what it would build from all instances. The histories are random; <c>DISCOVERY_RANDOM_SEED</c> is another
/// seed (see <see cref="RandomSeed"/>).
/// </summary>
public sealed class UpdateTests
{
    private const int Size = 300;

    private static readonly CallNeeds[] Kinds =
    [
        new("http", InstanceProtocols.Http2, Version: null),
        new("http", InstanceProtocols.Http1, Version: null),
        new("https", InstanceProtocols.Http2, Version: null),
        new("http", InstanceProtocols.Unspecified, Version: null),
    ];

    [Theory]
    [InlineData("LeastLoad", 400)]
    [InlineData("RoundRobin", 400)]
    [InlineData("WeightedRoundRobin", 400)]
    [InlineData("Random", 400)]
    [InlineData("PickFirst", 400)]
    [InlineData("ConsistentHash", 200)]
    [InlineData("RoundRobin", 300, "select")]
    [InlineData("RoundRobin", 100, "zone")]
    [InlineData("RoundRobin", 200, "subset")]
    [InlineData("PickFirst", 200, "subset")]
    [InlineData("ConsistentHash", 100, "subset")]
    public void An_update_comes_to_what_a_build_from_all_instances_would(string policy, int steps, string? with = null)
    {
        var seed = RandomSeed.From("DISCOVERY_RANDOM_SEED");
        FastRandom.Seed((ulong)seed);
        var history = new History(new Random(seed), OptionsOf(policy, with));
        for (var step = 0; step < steps; step++)
        {
            // At first all fit all calls, and later each but some.
            var what = history.Step(isUniform: step < steps / 3);

            var problem = history.FindDifference();
            Assert.True(problem is null, $"seed {seed}, step {step} ({what}): {problem}");
        }
    }

    [Theory]
    [InlineData("LeastLoad")]
    [InlineData("RoundRobin")]
    [InlineData("WeightedRoundRobin")]
    [InlineData("Random")]
    [InlineData("PickFirst")]
    [InlineData("ConsistentHash")]
    [InlineData("LeastLoad", "subset")]
    [InlineData("ConsistentHash", "subset")]
    public void One_change_in_ten_thousand_instances_allocates_no_more_than_twice_what_it_does_in_ten(string policy, string? with = null)
        => CheckBytes(size => BytesOfChange(size, policy, with));

    [Theory]
    [InlineData(null)]
    [InlineData("subset")]
    public void An_ejection_among_ten_thousand_instances_allocates_no_more_than_twice_what_it_does_among_ten(string? with)
        => CheckBytes(size => BytesOfEjection(size, with));

    [Fact]
    public void A_change_builds_no_balancer_from_all_instances()
    {
        using var service = new ChangingService(Records(Size), OptionsOf("RoundRobin", with: null));
        service.Current.For(Kinds[0], hashKey: null);
        Drain(service, 0, isDraining: true);
        var before = (InstanceList)service.Current.For(Kinds[0], hashKey: null)!.InUse;

        Drain(service, 1, isDraining: true);
        var after = (InstanceList)service.Current.For(Kinds[0], hashKey: null)!.InUse;

        Assert.Equal(Size - 2, after.Count);
        Assert.Equal(3, before.Chunks);
        Assert.Contains(Enumerable.Range(0, before.Chunks), i => before.Chunk(i) == after.Chunk(i));
    }

    private static EtcdDiscoveryOptions OptionsOf(string policy, string? with)
    {
        var options = new EtcdDiscoveryOptions { Policy = policy, ClientId = "client-0", HoldDuration = TimeSpan.FromSeconds(60), SlowStart = TimeSpan.FromSeconds(15) };
        options.Ejection.MaxEjectedPercent = 20;
        options.Zone = with == "zone" ? "zone-1" : null;
        options.ZoneSpillOver.LatencyRatio = 0;
        options.SubsetSize = with == "subset" ? 20 : 0;
        options.Select.Version = with == "select" ? "v1" : null;
        return options;
    }

    private static IEnumerable<ServiceInstance> Records(int count) => Enumerable.Range(0, count).Select(ChangingService.Record);

    private static void Drain(ChangingService service, int number, bool isDraining)
    {
        service.Put([ChangingService.Record(number) with { IsDraining = isDraining }]);
        service.Build();
    }

    private static void CheckBytes(Func<int, long> measure)
    {
        var large = measure(10_000);
        var small = measure(10);

        Assert.True(large <= 2 * small, $"{large:N0} B with 10,000 instances, {small:N0} B with 10");
    }

    private static long BytesOfChange(int size, string policy, string? with)
    {
        using var service = Service(size, policy, with);
        return BytesOf(20, i =>
        {
            Drain(service, i / 2 % size, isDraining: i % 2 == 0);
            Assert.NotNull(service.Current.For(Kinds[0], "key")!.Pick(new PickArguments { HashKey = "key" }));
        });
    }

    private static long BytesOfEjection(int size, string? with)
    {
        using var service = Service(size, "LeastLoad", with);
        return BytesOf(20, _ =>
        {
            var instance = service.Current.For(Kinds[0], hashKey: null)!.Pick(default)!;
            for (var i = 0; i < 5; i++)
            {
                instance.OnCallEnded(instance.OnCallStarted(), CallOutcome.Failure);
            }

            service.Build();
            Assert.False(IsInUse());
            service.Clock.Advance(instance.EjectionLeft + TimeSpan.FromSeconds(1));
            Assert.True(IsInUse());

            // Without what an assertion about a large collection allocates.
            bool IsInUse() => service.Current.For(Kinds[0], hashKey: null)!.InUse.Contains(instance);
        });
    }

    private static ChangingService Service(int size, string policy, string? with)
    {
        var options = OptionsOf(policy, with);

        // Half of ten.
        options.SubsetSize = Math.Min(options.SubsetSize, 5);
        var service = new ChangingService(Records(size), options);
        service.Current.For(Kinds[0], hashKey: null);
        return service;
    }

    private static long BytesOf(int times, Action<int> happens)
    {
        happens(0);
        happens(1);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 2; i < 2 + times; i++)
        {
            happens(i);
        }

        return (GC.GetAllocatedBytesForCurrentThread() - before) / times;
    }

    /// <summary>A service to which all kinds of things happen.</summary>
    private sealed class History : IDisposable
    {
        private readonly Random _random;
        private readonly ChangingService _service;
        private readonly Dictionary<string, InstanceState> _known = new(StringComparer.Ordinal);
        private int _steps;
        private int _next = Size;

        public History(Random random, EtcdDiscoveryOptions options)
        {
            _random = random;
            _service = new ChangingService(Records(Size).Select(r => r with { Version = "v1", Zone = $"zone-{r.Port % 3}" }), options);
            FindDifference();

            // From now on what joins starts slowly.
            PoolRig.Answer(_service.Current.Instances[0]);
        }

        public string Step(bool isUniform)
        {
            _service.Clock.Advance(TimeSpan.FromMilliseconds(_random.Next(6) == 0 ? _random.Next(20_000) : _random.Next(300)));
            _service.ReleaseHeld();
            List<string> what = [];
            for (var i = _random.Next(1, 5); i > 0; i--)
            {
                what.Add(Happen(isUniform));
            }

            // Something that has the pool built whatever else it was.
            _service.Put([ChangingService.Record(0)]);
            _service.Build();
            _steps++;
            return string.Join(", ", what);
        }

        /// <summary>Compares what calls go by with what is built from nothing.</summary>
        public string? FindDifference()
        {
            var current = _service.Current;
            if (FindWrongInstance(current) is { } wrong)
            {
                return wrong;
            }

            var options = _service.Options;
            InstanceState[] selected = [.. current.Instances.Where(i => options.Select.Fits(i.Record))];
            _random.Shuffle(selected);
            var policy = new PolicyCatalog([]).Get(options.Policy, "Policy");
            var set = new BalancerSet(InstanceList.Of(selected), options, list => BalancerBuilder.Build(list, current.Instances[0].Context, policy));
            if (current.Balancers.Count != selected.Length)
            {
                return $"{current.Balancers.Count} are selected, not {selected.Length}";
            }

            // Calls of other kinds begin one after another.
            return Kinds.Take(1 + (_steps / 40)).Select(k => FindDifference(k, current.For(k, hashKey: null), set.For(k, hashKey: null)))
                .FirstOrDefault(static d => d is not null);
        }

        public void Dispose() => _service.Dispose();

        private string? FindWrongInstance(PoolSnapshot current)
        {
            foreach (var instance in current.Instances)
            {
                _known[instance.Record.Address] = instance;
            }

            var refused = 0;
            List<string> callable = [];
            foreach (var (address, record) in current.Snapshot.ByAddress)
            {
                if (record.Host.StartsWith("127.", StringComparison.Ordinal))
                {
                    refused++;
                }
                else if (_known.GetValueOrDefault(address) is not { } instance || !(instance.IsGivenUp || (instance.IsHeld && instance.IsEjected)))
                {
                    callable.Add(address);
                }
            }

            if (current.Refused != refused)
            {
                return $"{current.Refused} are refused, not {refused}";
            }

            var instances = current.Instances.Select(static i => i.Record.Address).ToList();
            if (instances.Count != callable.Count || !instances.ToHashSet(StringComparer.Ordinal).SetEquals(callable))
            {
                return $"too many: {string.Join(' ', instances.Except(callable))}, too few: {string.Join(' ', callable.Except(instances))}";
            }

            return current.Instances.Any(i => i.Record != current.Snapshot.Find(i.Record.Address) || i.IsHeld != current.Snapshot.Held.ContainsKey(i.Record.Address))
                ? "a record is not the snapshot's"
                : null;
        }

        private string? FindDifference(CallNeeds needs, Balancer? actual, Balancer? expected)
        {
            if (actual is null || expected is null)
            {
                return actual == expected ? null : $"{needs}: {(actual is null ? "no" : "a")} balancer";
            }

            if (actual.Tiers.Count != expected.Tiers.Count)
            {
                return $"{needs}: {actual.Tiers.Count} tiers, not {expected.Tiers.Count}";
            }

            for (var i = 0; i < expected.Tiers.Count; i++)
            {
                var (one, other) = (actual.Tiers[i], expected.Tiers[i]);
                if (one.Count != other.Count || !one.ToHashSet().SetEquals(other))
                {
                    return $"{needs}, tier {i}: {one.Count} instances, not {other.Count}";
                }
            }

            if (!actual.Starting.ToHashSet().SetEquals(expected.Starting))
            {
                return $"{needs}: {actual.Starting.Count} start slowly, not {expected.Starting.Count}";
            }

            if (actual.RebuildAfter != expected.RebuildAfter)
            {
                return $"{needs}: built again after {actual.RebuildAfter}, not {expected.RebuildAfter}";
            }

            // A zone sends calls here and there by chance.
            return expected.InUse.Count > 0 && _service.Options.Zone is null && FindDifferentPick(actual, expected) is { } pick ? $"{needs}: {pick}" : null;
        }

        private string? FindDifferentPick(Balancer actual, Balancer expected)
        {
            var count = expected.InUse.Count;
            switch (_service.Options.Policy)
            {
                case "ConsistentHash":
                    return Enumerable.Range(0, 1000).Select(i => new PickArguments { HashKey = $"key-{i}", Attempt = i % 3 })
                        .Where(a => actual.PickByPolicy(a) != expected.PickByPolicy(a)).Select(static a => a.ToString()).FirstOrDefault();
                case "PickFirst":
                    return Enumerable.Range(0, count + 1).Select(static i => new PickArguments { Attempt = i })
                        .Where(a => actual.PickByPolicy(a) != expected.PickByPolicy(a)).Select(static a => a.ToString()).FirstOrDefault();
                case "RoundRobin":
                    return Count(actual, count).Values.Any(static c => c != 1) ? "not each in turn" : null;
                case "WeightedRoundRobin":
                    var gcd = expected.InUse.Aggregate(0.0, static (gcd, i) => (double)System.Numerics.BigInteger.GreatestCommonDivisor((int)gcd, (int)i.Weight));
                    var picks = Count(actual, (int)(expected.InUse.Sum(static i => i.Weight) / gcd));
                    return expected.InUse.Any(i => picks.GetValueOrDefault(i) != i.Weight / gcd) ? "not as often as the weights have it" : null;
                case "Random" when _steps % 25 == 0:
                    return Count(actual, 100 * count).Keys.ToHashSet().SetEquals(expected.InUse) ? null : "not all, or others, are picked";
                default:
                    return Count(actual, 10).Keys.All(expected.InUse.Contains) ? null : "others are picked";
            }
        }

        private static Dictionary<InstanceState, int> Count(Balancer balancer, int picks)
            => Enumerable.Range(0, picks).Select(_ => balancer.PickByPolicy(default)!).CountBy(static i => i).ToDictionary();

        private string Happen(bool isUniform)
        {
            switch (_random.Next(100))
            {
                case < 25:
                    _service.Put(Some(3).Select(r => Changed(r, isUniform)));
                    return "change";
                case < 35:
                    _service.Put(Enumerable.Range(0, _random.Next(1, 4)).Select(_ => Changed(ChangingService.Record(_next++), isUniform)));
                    return "add";
                case < 50:
                    _service.Delete(Some(3).Select(static r => r.Key));
                    return "remove";
                case < 52:
                    _service.Put([ChangingService.Record(_next++) with { Host = $"127.0.0.{_random.Next(1, 5)}" }]);
                    return "refuse";
                case < 55:
                    // A second key with the address of another instance.
                    _service.Put(Some(1).Select(r => r with { Key = r.Key + "-again", Weight = 20 }));
                    return "share";
                case < 56:
                    // Most vanish at once, and come back by and by.
                    _service.Delete([.. _service.Keys.Where(_ => _random.Next(4) > 0)]);
                    return "vanish";
                case < 66:
                    _service.Put(Enumerable.Range(0, _random.Next(1, _service.Keys.Count < Size / 2 ? Size : 30)).Select(_ => ChangingService.Record(_random.Next(_next))).DistinctBy(static r => r.Key));
                    return "come back";
                case < 72:
                    _service.ChangeUnseen(Some(3).Select(r => Changed(r, isUniform)), Some(2).Select(static r => r.Key));
                    _service.List();
                    return "relist";
                case < 86:
                    foreach (var instance in SomeInstances(_random.Next(8) == 0 ? 60 : 3))
                    {
                        Fail(instance, instance.IsHeld && _random.Next(2) == 0 ? CallOutcome.NotFound : CallOutcome.Failure);
                    }

                    return "fail";
                case < 90 when !isUniform:
                    foreach (var instance in SomeInstances(2))
                    {
                        instance.OnRefused(_random.Next(2) == 0 ? InstanceProtocols.Http1 : InstanceProtocols.Http2);
                    }

                    return "refuse a protocol";
                case < 91:
                    foreach (var instance in SomeInstances(Size))
                    {
                        instance.OnRefused(InstanceProtocols.Http2);
                    }

                    return "all refuse a protocol";
                case < 93:
                    var isDraining = _random.Next(2) == 0;
                    _service.Put(_service.Current.Snapshot.Instances.Where(static r => r.Host.StartsWith("10.", StringComparison.Ordinal)).OrderBy(static r => r.Key, StringComparer.Ordinal)
                        .Select(r => r with { IsDraining = isDraining }));
                    return isDraining ? "all drain" : "none drains";
                case < 94:
                    _service.Pool.Apply(_service.Options, new PolicyCatalog([]).Get(_service.Options.Policy, "Policy"));
                    return "settings";
                default:
                    return "nothing";
            }
        }

        private ServiceInstance Changed(ServiceInstance record, bool isUniform) => record with
        {
            IsDraining = _random.Next(4) == 0,
            Weight = _random.Next(3) > 0 ? 10 : _random.Next(1, 4) * 10,
            Zone = $"zone-{_random.Next(3)}",
            Version = $"v{(_random.Next(4) == 0 ? 2 : 1)}",
            InstanceId = _random.Next(3) == 0 ? _random.Next().ToString(CultureInfo.InvariantCulture) : record.InstanceId,
            Protocols = isUniform || _random.Next(2) == 0 ? InstanceProtocols.Unspecified : (InstanceProtocols)_random.Next(1, 4),
            Scheme = isUniform || _random.Next(2) == 0 ? null : _random.Next(3) == 0 ? "https" : "http",
        };

        private List<ServiceInstance> Some(int most)
        {
            // In an order that is the same in each run.
            var all = _service.Current.Snapshot.Present.Values.OrderBy(static r => r.Key, StringComparer.Ordinal).ToList();
            return all.Count == 0 ? [] : [.. Enumerable.Range(0, _random.Next(1, most + 1)).Select(_ => all[_random.Next(all.Count)]).DistinctBy(static r => r.Key)];
        }

        private List<InstanceState> SomeInstances(int most)
        {
            var all = _service.Current.Instances.OrderBy(static i => i.Record.Address, StringComparer.Ordinal).ToList();
            return all.Count == 0 ? [] : [.. Enumerable.Range(0, most).Select(_ => all[_random.Next(all.Count)]).Distinct()];
        }

        private static void Fail(InstanceState instance, CallOutcome outcome)
        {
            for (var i = 0; i < 5; i++)
            {
                instance.OnCallEnded(instance.OnCallStarted(), outcome);
            }
        }
    }
}
