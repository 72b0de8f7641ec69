using System.Net;
using System.Security.Claims;
using System.Text.Json;
using System.Text.RegularExpressions;
using Discovery.AspNetCore.Tests.Watching;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Listing;

/// <summary>What Prometheus gets.</summary>
public sealed partial class PrometheusTargetsTests : EtcdTestBase
{
    [Fact]
    public async Task Instances_are_targets_with_what_their_records_say()
    {
        await RegisterAsync("greeter", "10.0.0.1:80", """
            {"id":"p1","weight":5,"zone":"a","version":"v2","tags":["x","y"],"scheme":"http","protocols":"h1","endpoint":"Public","team-name":"blue","draining":true}
            """);
        await RegisterAsync("user", "[2001:db8::1]:80");
        using var client = await StartAsync();

        using var response = await client.GetAsync(new Uri("/sd", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("application/json", response.Content.Headers.ContentType!.ToString());
        var groups = Parse(await response.Content.ReadAsStringAsync());

        Assert.Equal(["10.0.0.1:80", "[2001:db8::1]:80"], groups.Select(static g => g.Target));
        Assert.Equal(
            new SortedDictionary<string, string>(StringComparer.Ordinal)
            {
                ["__meta_etcd_draining"] = "true",
                ["__meta_etcd_endpoint"] = "Public",
                ["__meta_etcd_instance_id"] = "p1",
                ["__meta_etcd_key"] = "services/greeter/10.0.0.1:80",
                ["__meta_etcd_metadata_endpoint"] = "Public",
                ["__meta_etcd_metadata_team_name"] = "blue",
                ["__meta_etcd_service"] = "greeter",
                ["__meta_etcd_tags"] = ",x,y,",
                ["__meta_etcd_version"] = "v2",
                ["__meta_etcd_weight"] = "5",
                ["__meta_etcd_zone"] = "a",
                ["__scheme__"] = "http",
            },
            groups[0].Labels);
        Assert.DoesNotContain("__scheme__", groups[1].Labels.Keys);
    }

    [Fact]
    public async Task A_process_is_scraped_once_at_an_endpoint_that_can_be()
    {
        await RegisterAsync("svc", "10.0.0.1:81", """{"id":"p1","protocols":"h2","scheme":"http","endpoint":"Grpc"}""");
        await RegisterAsync("svc", "10.0.0.1:82", """{"id":"p1","protocols":"h1","scheme":"http","endpoint":"Web"}""");
        await RegisterAsync("svc", "10.0.0.1:83", """{"id":"p1","protocols":"h1","scheme":"https","endpoint":"Metrics"}""");
        await RegisterAsync("svc", "10.0.0.2:81", """{"id":"p2","protocols":"h2","scheme":"http","endpoint":"Grpc"}""");
        await RegisterAsync("svc", "10.0.0.3:81");
        await RegisterAsync("svc", "10.0.0.3:82");
        using var client = await StartAsync();

        Assert.Equal(
            ["10.0.0.1:82", "10.0.0.2:81", "10.0.0.3:81", "10.0.0.3:82"], (await GetAsync(client)).Select(static g => g.Target).Order(StringComparer.Ordinal));
        Assert.Equal("10.0.0.1:83", (await GetAsync(client, "/sd?endpoint=metrics"))[0].Target);
    }

    [Fact]
    public async Task Services_are_chosen_by_the_request_and_by_the_options()
    {
        await RegisterAsync("a", "10.0.0.1:80");
        await RegisterAsync("b", "10.0.0.2:80");
        await RegisterAsync("c", "10.0.0.3:80");
        using var client = await StartAsync(static o => o.Services = ["a", "b"]);

        Assert.Equal(["10.0.0.1:80", "10.0.0.2:80"], (await GetAsync(client)).Select(static g => g.Target));
        Assert.Equal(["10.0.0.2:80"], (await GetAsync(client, "/sd?service=b&service=c")).Select(static g => g.Target));
        Assert.Empty(await GetAsync(client, "/sd?service=c"));
        Assert.Empty(await GetAsync(client, "/sd?service=none"));
    }

    [Fact]
    public async Task Labels_of_hostile_records_are_valid_and_addresses_that_may_not_be_dialled_are_left_out()
    {
        await RegisterAsync("a\"}<", "10.0.0.1:80", """{"1é \"{}":"v\"\u0000","":"empty","a-b":"first","a_b":"second","\ud83d\ude00":"x"}""");
        await RegisterAsync("b", "169.254.169.254:80");
        await RegisterAsync("b", "10.0.0.2:80");
        using var client = await StartAsync();

        var groups = await GetAsync(client);

        Assert.Equal(["10.0.0.1:80", "10.0.0.2:80"], groups.Select(static g => g.Target));
        Assert.All(groups.SelectMany(static g => g.Labels.Keys), static name => Assert.Matches(ValidName(), name));
        Assert.Equal("first", groups[0].Labels["__meta_etcd_metadata_a_b"]);
        Assert.True(Log.Has(LogLevel.Warning, "169.254.169.254:80", "may not be dialled"));
    }

    [Fact]
    public async Task Without_etcd_there_is_no_answer_and_during_an_outage_the_last_one()
    {
        await RegisterAsync("a", "10.0.0.1:80");
        Etcd.Pause();
        using var client = await StartAsync(settings: [("Etcd:Discovery:ReadyTimeout", "00:00:00.3")]);
        using (var none = await client.GetAsync(new Uri("/sd", UriKind.Relative)))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, none.StatusCode);
        }

        Etcd.Resume();
        await Eventually.IsTrue(async () => (await client.GetAsync(new Uri("/sd", UriKind.Relative))).IsSuccessStatusCode);
        Etcd.Pause();
        Etcd.DropConnections();

        Assert.Equal(["10.0.0.1:80"], (await GetAsync(client)).Select(static g => g.Target));
    }

    [Fact]
    public async Task The_targets_that_OpenIM_writes_are_given_too()
    {
        await PutAsync("openim/prometheus_discovery/user/0", """{"target":"10.0.0.1:12020","labels":{"namespace":"im","na-me":"x","__address__":"evil"}}""");
        await PutAsync("openim/prometheus_discovery/user/1", """{"target":"10.0.0.1:12021","labels":null}""");
        await PutAsync("openim/prometheus_discovery/user/2", """{"target":17}""");
        await PutAsync("openim/prometheus_discovery/user/3", """[]""");
        await PutAsync("openim/prometheus_discovery/user/4", """no JSON""");
        await PutAsync("openim/prometheus_discovery/push/0", """{"target":"169.254.169.254:80","labels":{}}""");
        await RegisterAsync("greeter", "10.0.0.9:80");
        using var client = await StartAsync(static o => o.OpenImPrefix = "openim/prometheus_discovery");

        var groups = await GetAsync(client);

        Assert.Equal(["10.0.0.9:80", "10.0.0.1:12020", "10.0.0.1:12021"], groups.Select(static g => g.Target));
        Assert.Equal(("im", "x", "user"), (groups[1].Labels["namespace"], groups[1].Labels["na_me"], groups[1].Labels["__meta_etcd_service"]));
        Assert.Equal(["10.0.0.1:12020", "10.0.0.1:12021"], (await GetAsync(client, "/sd?service=user")).Select(static g => g.Target));
    }

    [Fact]
    public async Task It_can_be_kept_from_the_public()
    {
        var app = Build([], static s => s.AddAuthorization().AddAuthentication("none").AddCookie("none"));
        app.UseAuthentication();
        app.UseAuthorization();
        app.MapEtcdPrometheusTargets().RequireAuthorization(static p => p.RequireClaim(ClaimTypes.Name));
        await app.StartAsync();
        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }) { BaseAddress = new Uri(app.Urls.First()) };

        using var response = await client.GetAsync(new Uri("/sd", UriKind.Relative));

        Assert.NotEqual(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task A_fake_directory_is_asked_like_any_other()
    {
        var app = Build([], static s => s.AddSingleton<IServiceDirectory>(new Fake()));
        app.MapEtcdPrometheusTargets("/targets");
        await app.StartAsync();
        using var client = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };

        Assert.Equal(["127.0.0.1:7"], (await GetAsync(client, "/targets")).Select(static g => g.Target));
    }

    [Fact]
    public void Wrong_use_names_what_to_call()
    {
        using var bare = WebApplication.CreateSlimBuilder().Build();
        var failure = Assert.Throws<InvalidOperationException>(() => bare.MapEtcdPrometheusTargets());
        Assert.Contains("AddEtcdDiscovery", failure.Message, StringComparison.Ordinal);

        var app = Build([]);
        failure = Assert.Throws<InvalidOperationException>(() => app.MapEtcdPrometheusTargets(configure: static o => o.Cluster = "dc9"));
        Assert.Contains("AddKeyedEtcdClient(\"dc9\")", failure.Message, StringComparison.Ordinal);
    }

    [GeneratedRegex("^[a-zA-Z_][a-zA-Z0-9_]*$")]
    private static partial Regex ValidName();

    private static List<(string Target, SortedDictionary<string, string> Labels)> Parse(string json)
        => [.. JsonDocument.Parse(json).RootElement.EnumerateArray().Select(static g => (
            g.GetProperty("targets").EnumerateArray().Single().GetString()!,
            new SortedDictionary<string, string>(
                g.GetProperty("labels").EnumerateObject().ToDictionary(static l => l.Name, static l => l.Value.GetString()!), StringComparer.Ordinal)))];

    private static async Task<List<(string Target, SortedDictionary<string, string> Labels)>> GetAsync(HttpClient client, string path = "/sd")
        => Parse(await client.GetStringAsync(new Uri(path, UriKind.Relative)));

    private async Task<HttpClient> StartAsync(Action<EtcdPrometheusOptions>? configure = null, params (string Name, string Value)[] settings)
    {
        var app = Build(settings);
        app.MapEtcdPrometheusTargets(configure: configure);
        await app.StartAsync();
        return new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
    }

    /// <summary>Knows one service, and nothing of listing.</summary>
    private sealed class Fake : IServiceDirectory
    {
        public IReadOnlyCollection<ServiceStatus> Services => [GetStatus("svc")];

        public ServiceSnapshot GetSnapshot(string serviceName)
            => new(serviceName, [new ServiceInstance { Key = "1", ServiceName = serviceName, Host = "127.0.0.1", Port = 7 }]);

        public ServiceStatus GetStatus(string serviceName)
            => new() { ServiceName = serviceName, Prefix = "", IsReady = true, IsConnected = true, Revision = 0 };

        public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default) => new(GetSnapshot(serviceName));

        public IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(string serviceName, CancellationToken cancellationToken = default) => throw new NotSupportedException();
    }
}
