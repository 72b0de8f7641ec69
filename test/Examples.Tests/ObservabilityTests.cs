extern alias Observed;

using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;

namespace Examples.Tests;

/// <summary>What examples/Observability exports, as a collector sees it.</summary>
public sealed class ObservabilityTests(EtcdFixture etcd) : IClassFixture<EtcdFixture>
{
    [Fact]
    public async Task A_collector_gets_metrics_and_traces_of_discovery()
    {
        var received = new ConcurrentDictionary<string, string>();
        await using var collector = await BackendServer.StartAsync(async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);

            // Names stand in the messages as they are.
            received.AddOrUpdate(context.Request.Path.Value!, static (_, text) => text, static (_, before, text) => before + text, Encoding.Latin1.GetString(body.ToArray()));
            context.Response.ContentType = "application/x-protobuf";
        });
        await using var application = new WebApplicationFactory<Observed::Program>().WithWebHostBuilder(host =>
        {
            host.UseSetting("Etcd:Endpoints", etcd.Endpoint);
            host.UseSetting("Etcd:Registration:GracefulStop", "false");
            host.UseSetting("OTEL_EXPORTER_OTLP_ENDPOINT", $"http://{collector.Address}");
            host.UseSetting("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
            host.UseSetting("OTEL_METRIC_EXPORT_INTERVAL", "200");
            host.UseSetting("OTEL_BSP_SCHEDULE_DELAY", "200");
        });
        application.UseKestrel();
        application.StartServer();

        await Eventually.IsTrue(() => Has("/v1/metrics", "discovery.client.attempt.duration"));
        await Eventually.IsTrue(() => Has("/v1/metrics", "discovery.registration.lease.remaining"));
        Assert.True(Has("/v1/metrics", "discovery.client.picks"));
        Assert.True(Has("/v1/metrics", "etcd.client.operation.duration"));
        await Eventually.IsTrue(() => Has("/v1/traces", "discovery.attempt"));
        await Eventually.IsTrue(() => Has("/v1/traces", "discovery.list"));

        bool Has(string path, string name) => received.TryGetValue(path, out var text) && text.Contains(name, StringComparison.Ordinal);
    }
}
