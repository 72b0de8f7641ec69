using System.Diagnostics.CodeAnalysis;
using System.Text;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Registration;
using Discovery.AspNetCore.Registration.Addresses;
using Discovery.AspNetCore.Tests.Calls;
using Discovery.Etcd;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Layouts;

/// <summary>A layout of the application's own, as an application writes it: added as a singleton and named in the settings.</summary>
public sealed class OwnLayoutTests
{
    [Fact]
    public async Task A_client_finds_instances_in_it()
    {
        await using var harness = new Harness(
            services: s => s.AddSingleton<IServiceLayout, LineLayout>(),
            settings: ("Etcd:Discovery:Layout", "line"));
        await using var server = await BackendServer.StartAsync();
        harness.Etcd.Put($"/lines/svc/{server.Address}", Encoding.UTF8.GetBytes(server.Address));
        using var client = harness.Client();

        Assert.Equal(server.Address, await client.GetStringAsync("x"));
    }

    [Fact]
    public async Task A_record_that_makes_it_throw_costs_that_record_only()
    {
        await using var harness = new Harness(
            services: s => s.AddSingleton<IServiceLayout, LineLayout>(),
            settings: ("Etcd:Discovery:Layout", "Line"));
        await using var server = await BackendServer.StartAsync();
        harness.Etcd.Put("/lines/svc/bad", "no address"u8.ToArray());
        harness.Etcd.Put($"/lines/svc/{server.Address}", Encoding.UTF8.GetBytes(server.Address));
        using var client = harness.Client();

        Assert.Equal(server.Address, await client.GetStringAsync("x"));
        Assert.Equal(1, harness.Pool.SkippedRecords);
        Assert.True(harness.Log.Has(LogLevel.Warning, "/lines/svc/bad", "the layout Line failed"));
    }

    [Fact]
    public void A_server_registers_in_it_beside_others()
    {
        var options = new EtcdRegistrationOptions { ServiceName = "svc", Layout = "Line, Line:other, EtcdNaming" };

        var records = RegistrationRecord.Build(
            new DesiredRegistration(options, [new AdvertisedEndpoint("http", "http", "10.0.0.1", 5000)]), Catalog(), "i1", weight: null);

        Assert.Equal(
            ["/lines/svc/10.0.0.1:5000", "/other/svc/10.0.0.1:5000", "services/svc/10.0.0.1:5000"],
            records.Keys.Order(StringComparer.Ordinal));
        Assert.Equal("10.0.0.1:5000", Encoding.UTF8.GetString(records["/lines/svc/10.0.0.1:5000"].Value));
        Assert.Null(records["/lines/svc/10.0.0.1:5000"].DrainingValue);
    }

    [Fact]
    public void An_unknown_name_is_refused_with_all_that_there_are()
    {
        var validation = new ValidateDiscovery(new ClientCatalog(), new PolicyCatalog([]), Catalog(), new Discovery.AspNetCore.Clusters.ClusterCatalog());

        var failure = Assert.Single(validation.Validate("svc", new EtcdDiscoveryOptions { Layout = "Lime" }).Failures!);

        Assert.Contains("there is no layout 'Lime'; valid are EtcdNaming, OpenIm, GoZero, Kratos, Kitex, EtcdNamingObject and Line", failure, StringComparison.Ordinal);
    }

    [Fact]
    public void A_root_is_refused_where_the_layout_has_a_fixed_one()
    {
        Assert.False(new LayoutCatalog([new FixedLayout()]).TryParse("Fixed:root", out _, out var problem));

        Assert.Equal("the layout 'Fixed' has a fixed root; write Fixed alone", problem);
    }

    [Fact]
    public void It_may_take_the_name_of_a_built_in_one()
    {
        var own = new FixedLayout("EtcdNaming");

        Assert.Same(own, Assert.Single(new LayoutCatalog([own]).Parse("etcdnaming")));
    }

    private static LayoutCatalog Catalog() => new([new LineLayout()]);

    /// <summary>An address a record, and a root that can be set.</summary>
    private sealed class LineLayout : IServiceLayout
    {
        private readonly string _root;

        public LineLayout()
            : this("lines")
        {
        }

        private LineLayout(string root) => _root = root;

        public string Name => "Line";

        public bool SupportsDraining => false;

        public IServiceLayout WithRoot(string root) => new LineLayout(root);

        public string GetPrefix(string serviceName) => $"/{_root}/{serviceName}/";

        public string GetKey(string serviceName, string address) => GetPrefix(serviceName) + address;

        public byte[]? Write(ServiceInstance instance) => instance.IsDraining ? null : Encoding.UTF8.GetBytes(instance.Address);

        public bool TryRead(
            string serviceName,
            EtcdKeyValue record,
            [NotNullWhen(true)] out ServiceInstance? instance,
            [NotNullWhen(false)] out string? problem)
        {
            var parts = Encoding.UTF8.GetString(record.Value.Span).Split(':');
            problem = null;
            instance = new ServiceInstance
            {
                Key = record.Key,
                ServiceName = serviceName,
                Host = parts[0],
                Port = int.Parse(parts[1]),
                Revision = record.ModRevision,
            };
            return true;
        }
    }

    private sealed class FixedLayout(string name = "Fixed") : IServiceLayout
    {
        public string Name => name;

        public bool SupportsDraining => true;

        public string GetPrefix(string serviceName) => $"/{serviceName}/";

        public string GetKey(string serviceName, string address) => GetPrefix(serviceName) + address;

        public byte[]? Write(ServiceInstance instance) => [];

        public bool TryRead(
            string serviceName,
            EtcdKeyValue record,
            [NotNullWhen(true)] out ServiceInstance? instance,
            [NotNullWhen(false)] out string? problem)
        {
            (instance, problem) = (null, "nothing is written");
            return false;
        }
    }
}
