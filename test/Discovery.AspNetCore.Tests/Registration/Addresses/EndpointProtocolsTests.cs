using System.Net;
using Discovery.AspNetCore.Registration.Addresses;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Registration.Addresses;

public sealed class EndpointProtocolsTests
{
    [Theory]
    [InlineData("http://[::]:80", "", "h1")]
    [InlineData("https://[::]:80", "", "h1,h2")]
    [InlineData("http://[::]:80", "Endpoints:Grpc:Protocols=Http2", "h2")]
    [InlineData("http://[::]:80", "Endpoints:grpc:Protocols=http1andhttp2", "h1")]
    [InlineData("https://[::]:80", "Endpoints:Grpc:Protocols=Http1", "h1")]
    [InlineData("https://[::]:80", "Endpoints:Grpc:Protocols=Http3", "")]
    [InlineData("https://[::]:80", "Endpoints:Grpc:Protocols=Http1AndHttp2AndHttp3", "h1,h2")]
    [InlineData("http://[::]:80", "EndpointDefaults:Protocols=Http2", "h2")]
    [InlineData("http://[::]:80", "EndpointDefaults:Protocols=Http2;Endpoints:Grpc:Protocols=Http1", "h1")]
    [InlineData("http://[::]:80", "Endpoints:Grpc:Protocols=nonsense", "h1")]
    public void Where_Kestrel_does_not_tell_the_configuration_does(string bound, string settings, string expected)
        => Assert.Equal(expected, new EndpointProtocols(Configuration(settings), []).Of(BindingAddress.Parse(bound), "Grpc"));

    [Fact]
    public void Of_another_server_nothing_is_known()
        => Assert.Null(new EndpointProtocols(Configuration("EndpointDefaults:Protocols=Http2"), bound: null).Of(BindingAddress.Parse("http://*:80"), "Grpc"));

    /// <summary>The list that is read is not public: this shows that the Kestrel at hand has it.</summary>
    [Fact]
    public async Task What_code_configures_is_seen_too()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration["Kestrel:Endpoints:Web:Url"] = "http://127.0.0.1:0";
        builder.WebHost.ConfigureKestrel(static kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0, static o => o.Protocols = HttpProtocols.Http2);
            kestrel.Listen(IPAddress.IPv6Loopback, 0, static o => o.Protocols = HttpProtocols.Http1);
        });
        await using var app = builder.Build();
        await app.StartAsync();

        var bound = KestrelEndpoints.Read(app.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value);
        var protocols = new EndpointProtocols(app.Configuration, bound);
        Assert.Equal(3, bound.Count);
        Assert.Equal(["h1", "h1", "h2"], app.Urls.Select(url => protocols.Of(BindingAddress.Parse(url), "http")).Order(StringComparer.Ordinal));
        Assert.Equal("h1", protocols.Of(BindingAddress.Parse(app.Urls.Single(static u => u.Contains("[::1]", StringComparison.Ordinal))), "http"));
    }

    private static IConfiguration Configuration(string settings)
        => new ConfigurationBuilder().AddInMemoryCollection(settings.Split(';', StringSplitOptions.RemoveEmptyEntries)
            .Select(static s => new KeyValuePair<string, string?>("Kestrel:" + s.Split('=')[0], s.Split('=')[1]))).Build();
}
