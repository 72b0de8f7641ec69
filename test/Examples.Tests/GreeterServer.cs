extern alias Server;

using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;

namespace Examples.Tests;

/// <summary>The greeter of the examples, with the settings that tests give it.</summary>
internal sealed class GreeterServer(params (string Name, string Value)[] settings) : WebApplicationFactory<Server::Program>
{
    /// <summary>Starts it on a port of its own, over which it can be called and registered.</summary>
    public static GreeterServer StartOnKestrel(string etcd)
    {
        var server = new GreeterServer(
            ("Etcd:Endpoints", etcd),
            ("Kestrel:Endpoints:Grpc:Url", "http://127.0.0.1:0"),
            ("Etcd:Registration:GracefulStop", "false"));
        server.UseKestrel();
        server.StartServer();
        return server;
    }

    /// <summary>Host and port.</summary>
    public string Address => ClientOptions.BaseAddress.Authority;

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        foreach (var (name, value) in settings)
        {
            builder.UseSetting(name, value);
        }
    }
}
