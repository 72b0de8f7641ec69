using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Tests.Hosting;

public sealed class ValidateDiscoveryTests
{
    public static TheoryData<Action<EtcdDiscoveryOptions>, string> Wrong => new()
    {
        { o => o.Layout = "Nacos", "Etcd:Discovery:Layout is 'Nacos': there is no layout 'Nacos'; valid are EtcdNaming" },
        { o => o.Policy = "Roundest", "Etcd:Discovery:Policy is 'Roundest'; there are " },
        { o => o.Scheme = "grpc", "Etcd:Discovery:Scheme is 'grpc'; it must be http or https." },
        { o => o.ReadyTimeout = TimeSpan.Zero, "Etcd:Discovery:ReadyTimeout is '00:00:00'; it must be from 00:00:00.01 to a day, e.g. 00:00:05." },
        { o => o.ConnectTimeout = TimeSpan.FromDays(2), "Etcd:Discovery:ConnectTimeout is '2.00:00:00'; it must be " },
        { o => o.RelistInterval = TimeSpan.Zero, "Etcd:Discovery:RelistInterval is '00:00:00'; it must be " },
        { o => o.HoldDuration = TimeSpan.FromSeconds(-1), "Etcd:Discovery:HoldDuration is '-00:00:01'; it must be from 0, which is off, to a day, e.g. 00:05:00" },
        { o => o.HoldDuration = TimeSpan.Parse("300", System.Globalization.CultureInfo.InvariantCulture), "Etcd:Discovery:HoldDuration is '300.00:00:00'; it must be from 0, which is off, to a day, e.g. 00:05:00" },
        { o => o.TlsTargetHost = "", "Etcd:Discovery:TlsTargetHost is ''; it must be service, endpoint or a host name" },
        { o => o.TlsTargetHost = "*.example.com", "Etcd:Discovery:TlsTargetHost is '*.example.com'; it must be " },
        { o => o.TlsTargetHost = "https://user:secret@greeter", "Etcd:Discovery:TlsTargetHost is 'https://***@greeter'; it must be " },
        { o => o.AllowedNetworks = ["10.0.0.1/8/8"], "Etcd:Discovery:AllowedNetworks has '10.0.0.1/8/8'; it must be a network in CIDR form, e.g. 10.0.0.0/8." },
        { o => o.MaxConnectAttempts = 0, "Etcd:Discovery:MaxConnectAttempts is '0'; it must be from 1 to 100, e.g. 3." },
        { o => o.RetryBudgetPercent = -0.5, "Etcd:Discovery:RetryBudgetPercent is '-0.5'; it must be from 0, which sets no limit, to 100, e.g. 20." },
        { o => o.RetryBudgetPercent = double.NaN, "Etcd:Discovery:RetryBudgetPercent is 'NaN'; it must be " },
        { o => o.RetryBudgetPercent = 500, "Etcd:Discovery:RetryBudgetPercent is '500'; it must be " },
        { o => o.RelistInterval = TimeSpan.FromMilliseconds(10), "Etcd:Discovery:RelistInterval is '00:00:00.0100000'; it must be from 00:00:01 to a day, e.g. 00:05:00." },
        { o => o.SnapshotDirectory = "data", "Etcd:Discovery:SnapshotDirectory is 'data'; it must be an absolute path" },
        { o => o.SnapshotDirectory = " ", "Etcd:Discovery:SnapshotDirectory is ' '; it must be an absolute path" },
        { o => o.SnapshotDirectory = Path.GetTempPath() + "a\0b", "Etcd:Discovery:SnapshotDirectory is '" },
        { o => o.Zone = " eu", "Etcd:Discovery:Zone is ' eu'; it must be a text without control characters and without spaces around it, e.g. eu-1a, or unset." },
        { o => o.ClientId = "\t", "Etcd:Discovery:ClientId is '\t'; it must be " },
        { o => o.Select.Version = "v2\n", "Etcd:Discovery:Select:Version is 'v2\n'; it must be " },
        { o => o.AllowedPorts = ["80-"], "Etcd:Discovery:AllowedPorts has '80-'; it must be a port or a range, e.g. 5000 or 8000-8999." },
    };

    [Fact]
    public void The_defaults_are_valid() => Assert.True(Validate(new EtcdDiscoveryOptions()).Succeeded);

    [Theory]
    [MemberData(nameof(Wrong))]
    public void A_wrong_setting_is_named_with_its_value_and_a_valid_one(Action<EtcdDiscoveryOptions> spoil, string expected)
    {
        var options = new EtcdDiscoveryOptions();
        spoil(options);

        var failure = Assert.Single(Validate(options).Failures!);

        Assert.StartsWith(expected, failure, StringComparison.Ordinal);
        Assert.EndsWith("(for service 'svc', where Etcd:Discovery:Services counts too)", failure, StringComparison.Ordinal);
    }

    private static Microsoft.Extensions.Options.ValidateOptionsResult Validate(EtcdDiscoveryOptions options)
        => new ValidateDiscovery(new ClientCatalog(), new PolicyCatalog([]), new LayoutCatalog([]), new ClusterCatalog()).Validate("svc", options);
}
