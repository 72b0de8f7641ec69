namespace Discovery.AspNetCore.Tests.Instances;

/// <summary>A policy of the application's own is tested with public members only.</summary>
public sealed class InstanceStateTests
{
    [Fact]
    public void What_a_policy_looks_at_can_be_set()
    {
        var state = new InstanceState(Record(1))
        {
            InFlight = 3,
            Weight = 2.5,
            Latency = TimeSpan.FromMilliseconds(40),
            FailureRate = 0.25,
            IsEjected = true,
        };

        Assert.Equal((3, 2.5, 0.25, true), (state.InFlight, state.Weight, state.FailureRate, state.IsEjected));
        Assert.InRange(state.Latency, TimeSpan.FromMilliseconds(39), TimeSpan.FromMilliseconds(41));
        Assert.Equal("10.0.0.1:1", state.Record.Address);
    }

    [Fact]
    public void One_that_is_only_created_was_never_called()
    {
        var state = new InstanceState(Record(1));

        Assert.Equal((0, ServiceInstance.DefaultWeight, 0, false), (state.InFlight, (int)state.Weight, (int)state.FailureRate, state.IsEjected));
        Assert.Equal(TimeSpan.Zero, state.Latency);
    }

    [Fact]
    public void A_policy_of_ones_own_is_tested_by_what_it_picks()
    {
        InstanceState[] instances = [new(Record(1)) { InFlight = 2 }, new(Record(2)) { InFlight = 1 }, new(Record(3)) { InFlight = 3 }];

        var picked = new FewestCalls().CreatePicker(instances).Pick(new PickArguments { HashKey = "any" });

        Assert.Same(instances[1], picked);
    }

    private static ServiceInstance Record(int port) => new() { Key = $"svc/{port}", ServiceName = "svc", Host = "10.0.0.1", Port = port };

    private sealed class FewestCalls : IBalancingPolicy
    {
        public string Name => "FewestCalls";

        public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances) => new Picker(instances);

        private sealed class Picker(IReadOnlyList<InstanceState> instances) : InstancePicker
        {
            public override InstanceState Pick(in PickArguments arguments) => instances.MinBy(static i => i.InFlight)!;
        }
    }
}
