using Discovery.AspNetCore;
using Discovery.EmbeddedEtcd;
using Helloworld;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Docs.Tests.Snippets;

/// <summary>The README's first server, its settings and its client work together as they stand; the addresses alone are this machine's.</summary>
public sealed class FirstApplicationTests : IAsyncLifetime
{
    private static readonly string Readme = Path.Combine(Repository.Root, "README.md");

    private EmbeddedEtcdServer _etcd = null!;

    public async Task InitializeAsync() => _etcd = await EmbeddedEtcdServer.StartAsync();

    public Task DisposeAsync() => _etcd.DisposeAsync().AsTask();

    [Fact]
    public async Task The_readmes_server_registers_itself_and_the_readmes_clients_find_it()
    {
        var (server, client) = (Repository.Fences(Readme, "csharp").First().Text, Repository.Fences(Readme, "csharp").ElementAt(1).Text);
        var directory = Directory.CreateTempSubdirectory("readme-");
        try
        {
            await File.WriteAllTextAsync(Path.Combine(directory.FullName, "appsettings.json"), Repository.Fences(Readme, "json").First().Text);
            string[] etcd = [.. Enumerable.Range(0, 3).Select(i => $"--Etcd:Endpoints:{i}={_etcd.Endpoint}")];
            await using var greeter = await RunningSnippet.StartAsync(server, [$"--contentRoot={directory.FullName}", "--urls=http://127.0.0.1:0", .. etcd]);
            await using var orders = await StartOrdersAsync();
            await Task.WhenAll(((IServiceProvider[])[greeter.Services, orders.Services]).Select(static s =>
                Eventually.IsTrue(() => s.GetRequiredService<IServiceRegistration>().Status.State == ServiceRegistrationState.Registered)));
            await using var caller = await RunningSnippet.StartAsync(client + "\nbuilder.Build();", etcd[0]);

            for (var i = 0; i < 20; i++)
            {
                Assert.Equal("Hello you", (await caller.Services.GetRequiredService<Greeter.GreeterClient>().SayHelloAsync(new HelloRequest { Name = "you" })).Message);
                Assert.Equal($"order {i}", await caller.Services.GetRequiredService<OrdersClient>().GetAsync(i));
            }
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    /// <summary>The other service that the README's client calls.</summary>
    private async Task<WebApplication> StartOrdersAsync()
    {
        var builder = WebApplication.CreateBuilder(["--urls=http://127.0.0.1:0", $"--Etcd:Endpoints={_etcd.Endpoint}", "--Etcd:Registration:ServiceName=orders"]);
        builder.Logging.ClearProviders();
        builder.Services.AddEtcdRegistration();
        var app = builder.Build();
        app.MapGet("/orders/{id}", static (int id) => $"order {id}");
        await app.StartAsync();
        return app;
    }
}
