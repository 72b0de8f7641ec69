using System.Collections.Immutable;
using Discovery.AspNetCore.Diagnostics.Page;

namespace Discovery.AspNetCore.Tests.Diagnostics;

public sealed class ServiceViewTests
{
    private readonly ServiceInstance _plain = new() { Key = "a", ServiceName = "svc", Host = "10.0.0.1", Port = 1 };

    [Fact]
    public void An_instance_without_live_state_is_refused_or_held_and_one_of_weight_0_drains()
    {
        var weightless = _plain with { Port = 2, Weight = 0 };
        var held = _plain with { Port = 3 };
        var snapshot = new ServiceSnapshot("svc", ByAddress(_plain, weightless), ByAddress(held));
        var state = new InstanceState(weightless);

        var states = View(snapshot, "LeastLoad", state).Describe().ToDictionary(static i => i.Address, static i => (i.State, i.Why));

        Assert.Equal("refused", states["10.0.0.1:1"].State);
        Assert.Equal(("draining", "its weight is 0"), states["10.0.0.1:2"]);
        Assert.Equal("held", states["10.0.0.1:3"].State);
        Assert.Contains("gets no calls", states["10.0.0.1:3"].Why, StringComparison.Ordinal);
        Assert.Equal(["ready", "draining", "held"], View(snapshot, null).Describe().OrderBy(static i => i.Address, StringComparer.Ordinal).Select(static i => i.State));
    }

    private static ServiceView View(ServiceSnapshot snapshot, string? policy, params InstanceState[] instances)
        => new(
            "svc",
            null,
            new ServiceStatus { ServiceName = "svc", Prefix = "services/svc/", IsReady = true, IsConnected = true, Revision = 1 },
            snapshot,
            policy,
            instances,
            Refused: 1);

    private static ImmutableDictionary<string, ServiceInstance> ByAddress(params ServiceInstance[] instances)
        => instances.ToImmutableDictionary(static i => i.Address, StringComparer.Ordinal);
}
