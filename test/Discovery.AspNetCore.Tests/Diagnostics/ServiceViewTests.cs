using System.Collections.Immutable;
using Discovery.AspNetCore.Diagnostics.Page;
using Discovery.AspNetCore.Instances;
using Microsoft.Extensions.Logging.Abstractions;

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

    [Fact]
    public void An_instance_that_the_settings_leave_out_is_not_selected()
    {
        var drains = _plain with { Port = 2, Weight = 0 };
        var fits = _plain with { Port = 3, Version = "v2" };
        var snapshot = new ServiceSnapshot("svc", ByAddress(_plain, drains, fits), ByAddress());
        var options = new EtcdDiscoveryOptions { Select = { Version = "v2" } };
        var view = View(snapshot, "LeastLoad", new InstanceState(_plain), new InstanceState(drains), new InstanceState(fits)) with { Settings = options };

        var states = view.Describe().ToDictionary(static i => i.Address, static i => (i.State, i.Why));

        Assert.Equal(("not selected", "it does not fit Etcd:Discovery:Services:svc:Select (Version v2)"), states["10.0.0.1:1"]);
        Assert.Equal("draining", states["10.0.0.1:2"].State);
        Assert.Equal("ready", states["10.0.0.1:3"].State);
        Assert.Equal(1, view.CountUnselected());
    }

    [Theory]
    [InlineData(0, false, "ready")]
    [InlineData(1, false, "not selected")]
    [InlineData(1, true, "ready")]
    public void An_instance_of_another_scheme_is_not_selected_unless_a_base_address_leads_there(int notPicked, bool isCalled, string expected)
    {
        var http = _plain with { Scheme = "http" };
        var snapshot = new ServiceSnapshot("svc", ByAddress(http), ByAddress());
        var options = new EtcdDiscoveryOptions { Scheme = "https" };
        var context = new InstanceContext(new FakeTimeProvider(), options, NullLogger.Instance);
        var instance = new InstanceState(http, context, isJoining: false);
        if (isCalled)
        {
            _ = instance.OnCallStarted();
        }

        var row = Assert.Single((View(snapshot, "LeastLoad", instance) with { Settings = options, NotPicked = notPicked }).Describe());

        Assert.Equal(expected, row.State);
        Assert.Equal(expected == "ready" ? null : "its record says http, and Etcd:Discovery:Services:svc:Scheme is https", row.Why);
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
