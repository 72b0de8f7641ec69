using System.Globalization;
using Aspire.Hosting;
using Aspire.Hosting.Testing;
using Discovery.Etcd;

namespace Discovery.Aspire.Hosting.Tests;

/// <summary>
/// The application under examples/Aspire, started by Aspire itself: three replicas and a web API as processes. Its etcd is a process too, named
/// by the connection string, for containers need an engine.
/// </summary>
public sealed class ExampleTests : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    private IEtcdServer? _etcd;

    private IEtcdServer Etcd => _etcd!;

    public async Task InitializeAsync() => _etcd = await EtcdServer.StartAsync(new EtcdProcessOptions { FastElections = true });

    public async Task DisposeAsync() => await Etcd.DisposeAsync();

    [Fact]
    public async Task Each_replica_registers_the_port_it_listens_on_and_is_called_there()
    {
        using var limit = new CancellationTokenSource(Limit);
        var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.AppHost>(
            [$"--ConnectionStrings:etcd={Etcd.Endpoint}"], limit.Token);
        var application = await builder.BuildAsync(limit.Token);
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [Etcd.Endpoint] });
        await using (application)
        {
            await application.StartAsync(limit.Token);
            await Eventually.IsTrue(async () => (await PortsAsync(client)).Length == 3, Limit);

            var ports = await PortsAsync(client);
            Assert.DoesNotContain(application.GetEndpoint("greeter", "http").Port, ports);
            using var webApi = application.CreateHttpClient("webapi", "http");
            var called = new HashSet<int>();
            await Eventually.IsTrue(
                async () =>
                {
                    string answer;
                    try
                    {
                        answer = await webApi.GetStringAsync(new Uri("/greet/you", UriKind.Relative), limit.Token);
                    }
                    catch (HttpRequestException)
                    {
                        // Aspire's proxy listens before the application behind it does.
                        return false;
                    }

                    Assert.StartsWith("Hello you from port ", answer, StringComparison.Ordinal);
                    called.Add(int.Parse(answer.Split(' ')[^1], CultureInfo.InvariantCulture));
                    return called.Count == 3;
                },
                Limit);
            Assert.Equal(ports, called.Order());
        }

        await Eventually.IsTrue(async () => (await PortsAsync(client)).Length == 0, Limit);
    }

    private static async Task<int[]> PortsAsync(EtcdClient client)
    {
        var listing = await client.ListAsync("services/greeter/");
        return [.. listing.Items.Select(static r => int.Parse(r.Key.Split(':')[^1], CultureInfo.InvariantCulture)).Order()];
    }
}
