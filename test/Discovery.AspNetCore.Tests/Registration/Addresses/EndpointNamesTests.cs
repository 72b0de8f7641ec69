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

public sealed class EndpointNamesTests
{
    [Theory]
    [InlineData("A=http://*:80;B=https://*:81", "http://[::]:80;https://[::]:81", "A;B")]
    [InlineData("A=http://*:0;B=https://*:0", "http://[::]:80;https://[::]:81", "A;B")]
    [InlineData("A=http://127.0.0.1:80;B=http://10.0.0.1:80", "http://10.0.0.1:80;http://127.0.0.1:80", "B;A")]
    [InlineData("A=http://localhost:80;B=http://10.0.0.1:80", "http://LOCALHOST:80;http://10.0.0.1:80", "A;B")]
    [InlineData("A=http://*:0;B=http://*:0", "http://[::]:4001;http://[::]:4000", "A;B")]
    [InlineData("A=http://*:0;B=http://*:80;C=http://*:0", "http://[::]:4001;http://[::]:80;http://[::]:4000", "A;B;C")]
    [InlineData("A=http://*:0;B=http://*:0", "http://[::]:4001;http://[::]:4000;http://[::]:4002", "http;http;http")]
    [InlineData("A=http://*:0;B=http://unix:/run/b;C=http://*:0", "http://[::]:4001;http://[::]:4000", "A;C")]
    [InlineData("A=https://*:80", "http://[::]:80", "http")]
    [InlineData("A=nonsense", "http://[::]:80", "http")]
    [InlineData("", "HTTPS://[::]:80", "https")]
    public void An_endpoint_has_its_configured_name_if_that_is_certain(string configured, string bound, string names)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(configured
            .Split(';', StringSplitOptions.RemoveEmptyEntries)
            .Select(e => new KeyValuePair<string, string?>($"Kestrel:Endpoints:{e.Split('=')[0]}:Url", e.Split('=')[1])));

        Assert.Equal(names.Split(';'), new EndpointNames(configuration.Build(), bound: null).Match([.. bound.Split(';').Select(BindingAddress.Parse)]));
    }

    /// <summary>What is read of Kestrel is not public: this shows that the one at hand has it.</summary>
    [Fact]
    public async Task Kestrel_tells_the_names_of_what_it_has_bound()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration["Kestrel:Endpoints:B:Url"] = "http://127.0.0.1:0";
        builder.Configuration["Kestrel:Endpoints:A:Url"] = $"http://shop.localhost:{FreePort.Next()}";
        builder.WebHost.ConfigureKestrel(static kestrel =>
        {
            kestrel.ListenLocalhost(FreePort.Next());
            kestrel.Listen(IPAddress.Loopback, 0);
        });
        await using var app = builder.Build();
        await app.StartAsync();

        var bound = KestrelEndpoints.Read(app.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value);
        var addresses = app.Urls.Select(BindingAddress.Parse).ToList();
        var names = new EndpointNames(new ConfigurationBuilder().Build(), bound).Match(addresses);
        Assert.Equal(["A", "B", "http", "http"], names.Order(StringComparer.Ordinal));
        Assert.Equal("A", names[addresses.FindIndex(static a => a.Host == "shop.localhost")]);
    }
}
