using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http;

namespace Discovery.FieldTests;

/// <summary>Clients whose primary handler is set by the application too.</summary>
public sealed class ReplacedHandlerTests
{
    [Fact]
    public async Task A_primary_handler_that_replaces_discovery_is_an_error_that_names_what_to_use()
    {
        await using var field = await Field.StartAsync();
        foreach (var replace in new Action<IHttpClientBuilder>[]
        {
            static b => b.ConfigurePrimaryHttpMessageHandler(static () => new SocketsHttpHandler()),
            static b => b.UseSocketsHttpHandler(),
        })
        {
            var e = Assert.Throws<InvalidOperationException>(() => field.Client(configure: replace));
            Assert.Contains("ConfigureEtcdTransport", e.Message, StringComparison.Ordinal);

            var services = field.Application(s => replace(s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service)));
            e = Assert.Throws<InvalidOperationException>(services.GetRequiredService<Greeter.GreeterClient>);
            Assert.Contains("ConfigureEtcdTransport", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Defaults_for_all_clients_and_handlers_around_ours_are_fine()
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync();
        var services = field.Application(static s =>
        {
            s.ConfigureHttpClientDefaults(static b => b.ConfigurePrimaryHttpMessageHandler(static () => new SocketsHttpHandler()));
            s.AddHttpClient("plain").AddEtcdDiscovery(Field.Service);
            s.AddHttpClient("wrapped").AddEtcdDiscovery(Field.Service);
            s.Configure<HttpClientFactoryOptions>("wrapped", static o => o.HttpMessageHandlerBuilderActions.Add(
                static b => b.PrimaryHandler = new Around { InnerHandler = b.PrimaryHandler }));
            s.AddHttpClient("other").ConfigurePrimaryHttpMessageHandler(static () => new SocketsHttpHandler());
        });
        var factory = services.GetRequiredService<IHttpClientFactory>();

        foreach (var name in new[] { "plain", "wrapped" })
        {
            using var client = factory.CreateClient(name);
            Assert.Equal(server.Address, await client.GetStringAsync("x"));
        }

        using var other = factory.CreateClient("other");
        Assert.Equal(server.Address, await other.GetStringAsync(new Uri($"http://{server.Address}/")));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(Field.Service)]
    public void Discovery_among_the_defaults_of_all_clients_is_an_error_that_names_where_it_belongs(string? service)
    {
        var e = Assert.Throws<InvalidOperationException>(
            () => new ServiceCollection().ConfigureHttpClientDefaults(b => b.AddEtcdDiscovery(service)));

        Assert.Contains("AddHttpClient(\"orders\").AddEtcdDiscovery()", e.Message, StringComparison.Ordinal);
    }

    private sealed class Around : DelegatingHandler;
}
