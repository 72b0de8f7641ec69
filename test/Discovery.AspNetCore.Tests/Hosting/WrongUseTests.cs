using System.Net;
using System.Text;
using Discovery.AspNetCore.Tests.Calls;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Hosting;

public sealed class WrongUseTests
{
    [Fact]
    public void A_client_without_a_name_needs_a_services()
    {
        var e = Assert.Throws<ArgumentException>(() => new ServiceCollection().AddHttpClient("").AddEtcdDiscovery());

        Assert.StartsWith(
            "The client '' has no service to discover: a service needs a name, e.g. greeter. Name it: AddEtcdDiscovery(\"greeter\").",
            e.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_client_discovers_one_service()
    {
        var builder = new ServiceCollection().AddHttpClient("client").AddEtcdDiscovery("one");

        var e = Assert.Throws<InvalidOperationException>(() => builder.AddEtcdDiscovery("two"));

        Assert.Equal("The client 'client' discovers service 'one' already and cannot discover 'two' too.", e.Message);
    }

    [Fact]
    public void A_transport_is_configured_after_discovery_was_added()
    {
        var builder = new ServiceCollection().AddEtcdDiscovery().AddHttpClient("client");

        var e = Assert.Throws<InvalidOperationException>(() => builder.ConfigureEtcdTransport(_ => { }));

        Assert.Equal("The client 'client' does not discover a service; call AddEtcdDiscovery before.", e.Message);
    }

    [Fact]
    public async Task Https_calls_to_instances_that_are_all_http_are_told_so()
    {
        await using var harness = new Harness(o => o.Scheme = "https");
        harness.Register("127.0.0.1:5000", scheme: "http");
        using var client = harness.Client();

        Assert.Equal(
            "Service 'svc' has 1 instance, but none of them supports https calls. Set Etcd:Discovery:Scheme, or the client's base address, to http.",
            await FailAsync(client));
    }

    [Fact]
    public async Task Where_all_instances_may_be_ejected_and_are_the_error_says_so()
    {
        await using var harness = new Harness(o =>
        {
            o.Ejection.Enabled = true;
            o.Ejection.MaxEjectedPercent = 100;
            o.Ejection.PanicThresholdPercent = 0;
        });
        harness.Register(Harness.RefusingAddress());
        using var client = harness.Client();

        var message = "";
        await Eventually.IsTrue(async () => (message = await FailAsync(client)).Contains("ejected", StringComparison.Ordinal));

        Assert.Equal(
            "Service 'svc' has 1 instance, and all that support http calls are ejected because they failed. "
            + "Etcd:Discovery:Ejection:PanicThresholdPercent (default: 30) above 0 calls them nevertheless when nearly all are.",
            message);
    }

    [Fact]
    public async Task A_service_without_instances_names_the_prefix_and_what_to_check()
    {
        await using var harness = new Harness();
        harness.Etcd.Put("services/SVC/127.0.0.1:5000", Encoding.UTF8.GetBytes("""{"Addr":"127.0.0.1:5000"}"""));
        using var client = harness.Client();

        Assert.Equal(
            "Service 'svc' has no instance: etcd has no key under 'services/svc/' (revision 2). Check the service's name, which is "
            + "case-sensitive, whether its servers run and are registered, and whether both sides have the same layout "
            + "(Etcd:Discovery:Layout is 'EtcdNaming').",
            await FailAsync(client));
    }

    [Fact]
    public async Task Records_that_are_all_garbage_are_told_from_no_records()
    {
        await using var harness = new Harness();
        harness.Etcd.Put("services/svc/1", [1, 2, 3]);
        using var client = harness.Client();

        Assert.Contains("1 record under 'services/svc/' is no instance", await FailAsync(client), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Instances_that_may_not_be_dialled_are_counted_and_logged_once()
    {
        await using var harness = new Harness();
        harness.Register("169.254.169.254:80");
        using var client = harness.Client();

        var message = await FailAsync(client);
        harness.Register("100.100.100.200:80");
        await Eventually.IsTrue(() => harness.Pool.Current!.Refused == 2);

        Assert.Equal(
            "Service 'svc' has 1 instance, but none of them may be dialled (Etcd:Discovery:AllowedNetworks, AllowedPorts, AllowLoopback): 169.254.169.254:80.", message);
        Assert.Single(harness.Log.At(LogLevel.Warning), l => l.Contains("leads to 169.254.169.254:80", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_service_that_cannot_be_listed_names_the_endpoints_tried()
    {
        await using var harness = new Harness(o => o.ReadyTimeout = TimeSpan.FromSeconds(2));
        harness.Etcd.IsDown = true;
        using var client = harness.Client();

        Assert.Equal(
            "Service 'svc' could not be listed under 'services/svc/' within 2 s (Etcd:Discovery:ReadyTimeout), from http://model:2379/ "
            + "(Etcd:Endpoints). The last attempt: the model is down",
            await FailAsync(client));
    }

    [Fact]
    public async Task Synchronous_calls_are_refused()
    {
        await using var harness = new Harness();
        using var client = harness.Client();

        Assert.Throws<NotSupportedException>(() => client.Send(new HttpRequestMessage(HttpMethod.Get, "x")));
    }

    [Fact]
    public async Task A_policy_that_does_not_exist_is_told_at_start_with_those_that_do()
    {
        using var host = new HostBuilder()
            .ConfigureServices(s => s
                .AddEtcdClient(o => o.Endpoints = ["http://127.0.0.1:9"])
                .AddHttpClient("client").AddEtcdDiscovery("svc", o => o.Policy = "Roundest"))
            .Build();

        var e = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());

        Assert.Contains("Etcd:Discovery:Policy is 'Roundest'; there are ", e.Message, StringComparison.Ordinal);
        Assert.Contains("LeastLoad, ", e.Message, StringComparison.Ordinal);
        Assert.Contains("for service 'svc', where Etcd:Discovery:Services counts too", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, true)]
    public async Task A_host_from_before_the_generic_one_registers_nothing_and_says_so(bool isEnabled, bool failsFast)
    {
        using var log = new LogRecorder();
#pragma warning disable ASPDEPR004, ASPDEPR008 // The old host is what is tested.
        using var host = new WebHostBuilder()
#pragma warning restore ASPDEPR004, ASPDEPR008
            .UseKestrel(static k => k.Listen(IPAddress.Loopback, 0))
            .ConfigureLogging(l => l.AddProvider(log))
            .ConfigureServices(s => s.AddEtcdClient(static o => o.Endpoints = ["http://127.0.0.1:9"])
                .AddEtcdRegistration(o => (o.ServiceName, o.Enabled, o.FailFast) = ("greeter", isEnabled, failsFast)))
            .Configure(static _ => { })
            .Build();

        if (isEnabled && failsFast)
        {
            var e = await Assert.ThrowsAsync<InvalidOperationException>(() => host.StartAsync());
            Assert.Contains("Build it by WebApplication.CreateBuilder", e.Message, StringComparison.Ordinal);
            return;
        }

        await host.StartAsync();
        Assert.Equal(isEnabled, log.Has(LogLevel.Error, "This application is not registered in etcd: its host"));
        await host.StopAsync();
    }

    [Fact]
    public async Task A_policy_of_ones_own_that_fails_takes_nothing_down()
    {
        var policy = new Moody();
        await using var harness = new Harness(o => o.Policy = "Moody", services: s => s.AddSingleton<IBalancingPolicy>(policy));
        var server = await harness.StartServerAsync();
        using var client = harness.Client();
        Assert.Equal(server.Address, await client.GetStringAsync("x"));

        policy.Fails = true;
        harness.Register(Harness.RefusingAddress());
        await Eventually.IsTrue(() => harness.Log.At(LogLevel.Error).Any(l => l.Contains("The instances of service 'svc' could not be made ready", StringComparison.Ordinal)));
        Assert.Equal(server.Address, await client.GetStringAsync("x"));

        policy.Fails = false;
        harness.Register(Harness.RefusingAddress());
        await Eventually.IsTrue(() => harness.Pool.Current!.Instances.Count == 3);
    }

    private static async Task<string> FailAsync(HttpClient client)
        => (await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"))).Message;

    private sealed class Moody : IBalancingPolicy
    {
        public string Name => "Moody";

        public bool Fails { get; set; }

        public InstancePicker CreatePicker(IReadOnlyList<InstanceState> endpoints)
            => Fails ? throw new InvalidOperationException("out of humour") : new First(endpoints[0]);

        private sealed class First(InstanceState endpoint) : InstancePicker
        {
            public override InstanceState Pick(in PickArguments arguments) => endpoint;
        }
    }
}
