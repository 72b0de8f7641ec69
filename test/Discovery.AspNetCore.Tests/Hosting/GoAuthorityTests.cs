using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Hosting;

/// <summary>What grpc-go sends as the authority of a target in etcd, to a real Kestrel.</summary>
public sealed class GoAuthorityTests
{
    [Theory]
    [InlineData("greeter/", "greeter")]
    [InlineData("greeter%2F", "greeter")]
    [InlineData("services/greeter", "greeter")]
    [InlineData("services/greeter/", "greeter")]
    [InlineData("services%2Fgreeter", "greeter")]
    [InlineData("services%2fgreeter%2f", "greeter")]
    [InlineData("shop/a_b", "a-b")]
    [InlineData("a_b/", "a-b")]
    [InlineData("127.0.0.1:2379,etcd-2:2379", "zero.rpc")]
    [InlineData("[::1]:2379,etcd_2:2379", "zero.rpc")]
    [InlineData("日本", "service")]
    [InlineData("services/日本", "service")]
    [InlineData("services%2F%E6%97%A5%E6%9C%AC", "service")]
    [InlineData("100%25", "service")]
    [InlineData("100%", "service")]
    [InlineData("services/100%", "service")]
    [InlineData("a@b", "a-b")]
    [InlineData("greeter", "greeter")]
    [InlineData("other.example.com:80", "other.example.com:80")]
    public async Task Names_of_registered_services_are_hosts(string authority, string host)
    {
        await using var app = await StartAsync();

        Assert.Equal(host, await CallAsync(app, authority));
    }

    [Theory]
    [InlineData("other/")]
    [InlineData("services/other")]
    [InlineData("services%252Fgreeter")]
    [InlineData("services//greeter")]
    [InlineData("greeter/evil")]
    [InlineData("evil/greeter")]
    [InlineData("greeter@evil")]
    [InlineData("greeter,")]
    [InlineData("日")]
    [InlineData("user@greeter")]
    [InlineData("a@b:80")]
    [InlineData("127.0.0.1:2379,etcd-2:2379/")]
    public async Task All_else_is_refused_as_before(string authority)
    {
        await using var app = await StartAsync();

        await Assert.ThrowsAnyAsync<IOException>(() => CallAsync(app, authority));
    }

    [Fact]
    public async Task A_setting_switches_it_off()
    {
        await using var app = await StartAsync(("Etcd:Registration:AcceptGoAuthority", "false"));

        await Assert.ThrowsAnyAsync<IOException>(() => CallAsync(app, "greeter/"));
        Assert.Equal("greeter", await CallAsync(app, "greeter"));
    }

    [Fact]
    public async Task Members_of_etcd_are_accepted_for_go_zero_only()
    {
        await using var app = await StartAsync(("Etcd:Registration:Services:zero.rpc:Layout", "Kratos"));

        await Assert.ThrowsAnyAsync<IOException>(() => CallAsync(app, "127.0.0.1:2379,etcd-2:2379"));
    }

    [Fact]
    public async Task A_registration_in_a_named_cluster_counts_too()
    {
        await using var app = await StartAsync(
            kestrel: null,
            static s => s.AddKeyedEtcdRegistration("dc2", static o => o.GracefulStop = false),
            ("Etcd:Clusters:dc2:Endpoints", "http://127.0.0.1:1"),
            ("Etcd:Clusters:dc2:Registration:Layout", "OpenIm"));

        Assert.Equal("greeter", await CallAsync(app, "greeter/"));
        await Assert.ThrowsAnyAsync<IOException>(() => CallAsync(app, "other/"));
    }

    [Fact]
    public async Task Allowed_hosts_still_decide()
    {
        await using var app = await StartAsync(("AllowedHosts", "greeter"));

        Assert.Equal("greeter", await CallAsync(app, "services%2Fgreeter"));
        await Assert.ThrowsAnyAsync<IOException>(() => CallAsync(app, "shop/a_b"));
    }

    [Theory]
    [InlineData("greeter/")]
    [InlineData("services%2Fgreeter")]
    [InlineData("127.0.0.1:2379,etcd-2:2379")]
    public async Task A_Host_header_stays_as_it_was(string host)
    {
        await using var app = await StartAsync(kestrel: static o => o.ConfigureEndpointDefaults(static l => l.Protocols = HttpProtocols.Http1));
        var url = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        using var connection = new System.Net.Sockets.TcpClient(url.Host, url.Port);
        await connection.GetStream().WriteAsync(System.Text.Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));

        using var answer = new StreamReader(connection.GetStream());

        Assert.Equal("HTTP/1.1 400 Bad Request", await answer.ReadLineAsync());
    }

    [Fact]
    public async Task An_encoding_of_the_application_still_counts()
    {
        await using var app = await StartAsync(
            kestrel: o => o.RequestHeaderEncodingSelector = static name => name == "x-name" ? System.Text.Encoding.Latin1 : null);

        Assert.Equal("greeter ü", await CallAsync(app, "greeter/", ("x-name", "\u00fc")));
    }

    private static async Task<WebApplication> StartAsync(params (string Key, string Value)[] settings) => await StartAsync(null, settings);

    private static Task<WebApplication> StartAsync(Action<KestrelServerOptions>? kestrel, params (string Key, string Value)[] settings)
        => StartAsync(kestrel, static s => s.AddEtcdRegistration(static o => o.GracefulStop = false), settings);

    private static async Task<WebApplication> StartAsync(
        Action<KestrelServerOptions>? kestrel, Action<IServiceCollection> register, params (string Key, string Value)[] settings)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Configuration.AddInMemoryCollection(
            new Dictionary<string, string?>
            {
                ["Etcd:Registration:ServiceName"] = "greeter",
                ["Etcd:Registration:Enabled"] = "true",
                ["Etcd:Endpoints"] = "http://127.0.0.1:1",
                ["Etcd:Registration:Services:a_b:Layout"] = "EtcdNaming:shop",
                ["Etcd:Registration:Services:zero.rpc:Layout"] = "GoZero",
                ["Etcd:Registration:Services:日本:Weight"] = "1",
                ["Etcd:Registration:Services:100%:Weight"] = "1",
                ["Etcd:Registration:Services:a@b:Weight"] = "1",
            });
        builder.Configuration.AddInMemoryCollection(settings.ToDictionary(s => s.Key, s => (string?)s.Value));
        builder.WebHost.UseKestrelCore().ConfigureKestrel(o =>
        {
            kestrel?.Invoke(o);
            o.Listen(IPAddress.Loopback, 0, l => l.Protocols = l.Protocols == HttpProtocols.Http1 ? HttpProtocols.Http1 : HttpProtocols.Http2);
        });
        register(builder.Services);
        builder.Services.AddHostFiltering(o => o.AllowedHosts = [builder.Configuration["AllowedHosts"] ?? "*"]);
        var app = builder.Build();
        app.UseHostFiltering();
        app.Run(context => context.Response.WriteAsync($"host {context.Request.Host} {context.Request.Headers["x-name"]}".Trim()));
        await app.StartAsync();
        return app;
    }

    private static async Task<string> CallAsync(WebApplication app, string authority, params (string Name, string Value)[] headers)
    {
        var url = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        var body = await RawHttp2.GetAsync(url.Host, url.Port, authority, headers);
        return body.StartsWith("host ", StringComparison.Ordinal) ? body[5..] : throw new IOException($"The answer is not the application's: {body}");
    }
}
