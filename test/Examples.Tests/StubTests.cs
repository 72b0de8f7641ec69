extern alias Observed;

using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;

namespace Examples.Tests;

/// <summary>What docs/testing.md shows of HttpClients that call nobody.</summary>
public sealed class StubTests
{
    [Fact]
    public async Task A_stub_answers_an_HttpClient_and_neither_a_server_nor_an_etcd_is_there()
    {
        await using var application = new WebApplicationFactory<Observed::Program>().WithWebHostBuilder(host =>
        {
            host.UseSetting("Etcd:Registration:Enabled", "false");
            host.UseSetting("Etcd:Discovery:Services:greeting:Instances", "127.0.0.1:9");
            host.ConfigureTestServices(services =>
                services.AddHttpClient("GreetingClient").AddHttpMessageHandler(() => new StubHandler("Hello from the stub")));
        });
        using var client = application.CreateClient();

        Assert.Equal("Hello from the stub", await client.GetStringAsync("/greet"));
    }

    [Fact]
    public async Task A_stub_as_the_primary_handler_is_refused_with_what_to_do_in_a_test()
    {
        await using var application = new WebApplicationFactory<Observed::Program>().WithWebHostBuilder(host =>
        {
            host.UseSetting("Etcd:Registration:Enabled", "false");
            host.UseSetting("Etcd:Discovery:Services:greeting:Instances", "127.0.0.1:9");
            host.ConfigureTestServices(services =>
                services.AddHttpClient("GreetingClient").ConfigurePrimaryHttpMessageHandler(() => new StubHandler("")));
        });

        var e = Assert.Throws<InvalidOperationException>(() => application.Services.GetRequiredService<IHttpClientFactory>().CreateClient("GreetingClient"));

        Assert.Contains("AddHttpMessageHandler", e.Message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Discovery:Services:greeting:Instances", e.Message, StringComparison.Ordinal);
    }
}
