using Discovery.AspNetCore;
using Discovery.IntegrationTests.Interop;
using Discovery.IntegrationTests.Registration;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using InteropClient = Peers.V1.Interop.InteropClient;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>The applications of ours in a cluster with neighbours.</summary>
internal static class Application
{
    /// <summary>Starts a server and waits until it is registered, or withdrawn where the settings want it so.</summary>
    /// <param name="etcd">etcd's endpoint.</param>
    /// <param name="service">The service's name.</param>
    /// <param name="layout">The layouts to be written.</param>
    /// <param name="settings">More settings, as of <see cref="TestApp"/>.</param>
    public static async Task<TestApp> ServeAsync(string etcd, string service, string layout, string settings = "")
    {
        var app = TestApp.Build(etcd, service, $"Layout={layout};/Kestrel:EndpointDefaults:Protocols=Http2;{settings}", static b =>
        {
            b.Services.AddSingleton<CallObserver>();
            b.Services.AddGrpc();
        });
        app.Map(static e => e.MapGrpcService<DetailedService>());
        await app.StartAsync();
        await Eventually.IsTrue(() => app.State is ServiceRegistrationState.Registered or ServiceRegistrationState.Withdrawn);
        return app;
    }

    /// <summary>The services of an application that calls one service.</summary>
    public static ServiceProvider Client(string etcd, string service, string layout, Action<EtcdDiscoveryOptions>? configure = null)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(
            new ConfigurationBuilder().AddInMemoryCollection([new("Etcd:Endpoints", etcd), new("Etcd:Discovery:Layout", layout)]).Build());
        services.AddEtcdGrpcClient<InteropClient>(service, configure);
        return services.BuildServiceProvider();
    }
}
