using System.Text;
using System.Text.Json;
using Discovery.IntegrationTests.Etcd;
using Discovery.IntegrationTests.Neighbours;
using Discovery.IntegrationTests.Registration;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Peers.V1;
using InteropClient = Peers.V1.Interop.InteropClient;

namespace Discovery.IntegrationTests.Interop;

/// <summary>Reports of load between ours and Node.js, which has gRPC's ORCA itself.</summary>
public sealed class NodeReportTests(OneNode node) : IClassFixture<OneNode>
{
    [Fact]
    public async Task A_node_client_reads_the_report_of_our_server()
    {
        await using var server = await TestServer.StartAsync(map: static a =>
        {
            a.UseEtcdLoadReport();
            a.MapGrpcService<InteropService>();
        });
        using var held = server.Client.WaitStream(new Message());
        Assert.True(await held.ResponseStream.MoveNext());

        await using var client = await NodePeer.StartAsync("reports.mjs", "read", new Uri(server.Address).Authority);
        using var reports = JsonDocument.Parse(await client.WaitForLineAsync("reports "));

        var report = Assert.Single(reports.RootElement.EnumerateArray());
        Assert.Equal(1, report.GetProperty("named_metrics").GetProperty("rif").GetDouble());
        Assert.InRange(report.GetProperty("cpu_utilization").GetDouble(), 0, 1);
        Assert.True(report.GetProperty("rps_fractional").GetDouble() >= 0);
        Assert.Equal(0, report.GetProperty("eps").GetDouble());
    }

    [Fact]
    public async Task Our_least_load_goes_by_the_reports_of_servers_in_node()
    {
        var service = RecordReading.NewService();
        await using var busy = await NodePeer.StartAsync("reports.mjs", "serve", "40");
        await using var idle = await NodePeer.StartAsync("reports.mjs", "serve", "0");
        await using var etcd = node.Connect();
        foreach (var server in (NodePeer[])[busy, idle])
        {
            var address = $"127.0.0.1:{await server.WaitForLineAsync("listening ")}";
            await etcd.PutAsync($"services/{service}/{address}", Encoding.UTF8.GetBytes($$"""{"Op":0,"Addr":"{{address}}"}"""));
        }

        await using var services = Application.Client(node.Etcd.Endpoint, service, "EtcdNaming");
        var client = services.GetRequiredService<InteropClient>();

        // Without the reports it would be half for each. A slow first answer is made good after some calls.
        await Eventually.IsTrue(async () =>
        {
            var answers = new List<string>();
            for (var i = 0; i < 100; i++)
            {
                answers.Add((await client.EchoAsync(new Message())).Text);
            }

            return answers.Count(static a => a == "40") < 20;
        });
    }
}
