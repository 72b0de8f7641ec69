using System.Net;
using System.Security.Authentication;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Logging;

namespace Discovery.FieldTests;

/// <summary>Clients whose primary handler is set by the application too.</summary>
public sealed class ReplacedHandlerTests
{
    /// <summary>What an application may do to the primary handler of its own client.</summary>
    private static readonly Dictionary<string, Action<IHttpClientBuilder>> _changes = new(StringComparer.Ordinal)
    {
        ["replaced"] = static b => b.ConfigurePrimaryHttpMessageHandler(static () => new SocketsHttpHandler { Proxy = new WebProxy("http://a") }),
        ["replaced by HttpClientHandler"] = static b => b.ConfigurePrimaryHttpMessageHandler(static () => new HttpClientHandler()),
        ["replaced by a class"] = static b => b.ConfigurePrimaryHttpMessageHandler(static () => new Loud()),
        ["replaced by one around another"] = static b => b.ConfigurePrimaryHttpMessageHandler(static () => new Around { InnerHandler = new HttpClientHandler() }),
        ["certificates"] = static b => b.UseSocketsHttpHandler(static (h, _) => h.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true),
        ["by a builder"] = static b => b.UseSocketsHttpHandler(static s => s.Configure(static (h, _) => h.SslOptions = new() { EnabledSslProtocols = SslProtocols.Tls13 })),
        ["changed by a cast"] = static b => b.ConfigurePrimaryHttpMessageHandler(static (h, _) => ((SocketsHttpHandler)h).ConnectTimeout = TimeSpan.FromSeconds(1)),
        ["changed by a pattern"] = static b => b.ConfigurePrimaryHttpMessageHandler(static (h, _) =>
        {
            if (h is SocketsHttpHandler sockets)
            {
                sockets.Credentials = new NetworkCredential("user", "secret");
            }
        }),
    };

    public static TheoryData<string> Changes => [.. _changes.Keys];

    [Theory]
    [MemberData(nameof(Changes))]
    public async Task A_primary_handler_of_the_applications_own_is_an_error_that_names_what_to_use_before_discovery_and_after_it(string change)
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync();
        var apply = _changes[change];

        var e = Assert.Throws<InvalidOperationException>(() => field.Client(configure: apply));
        Assert.Contains("ConfigureEtcdTransport", e.Message, StringComparison.Ordinal);

        var services = field.Application(s =>
        {
            var builder = s.AddHttpClient("client");
            apply(builder);
            builder.AddEtcdDiscovery(Field.Service);
        });
        e = Assert.Throws<InvalidOperationException>(() => services.GetRequiredService<IHttpClientFactory>().CreateClient("client"));
        Assert.Contains("ConfigureEtcdTransport", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", e.Message, StringComparison.Ordinal);

        services = field.Application(s => apply(s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service)));
        e = Assert.Throws<InvalidOperationException>(services.GetRequiredService<Greeter.GreeterClient>);
        Assert.Contains("ConfigureEtcdTransport", e.Message, StringComparison.Ordinal);

        services = field.Application(s =>
        {
            var builder = s.AddGrpcClient<Greeter.GreeterClient>(static o => o.Address = new Uri("etcd:///svc"));
            apply(builder);
            builder.AddEtcdDiscovery();
        });
        e = Assert.Throws<InvalidOperationException>(services.GetRequiredService<Greeter.GreeterClient>);
        Assert.Contains("ConfigureEtcdTransport", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Defaults_for_all_clients_and_handlers_around_ours_are_fine()
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync();
        var services = field.Application(static s =>
        {
            s.ConfigureHttpClientDefaults(static b => b.ConfigurePrimaryHttpMessageHandler(static () => new SocketsHttpHandler
            {
                PooledConnectionLifetime = TimeSpan.FromMinutes(2),
            }));
            s.AddHttpClient("plain").AddEtcdDiscovery(Field.Service);
            s.AddHttpClient("wrapped").AddEtcdDiscovery(Field.Service);
            s.Configure<HttpClientFactoryOptions>("wrapped", static o => o.HttpMessageHandlerBuilderActions.Add(
                static b => b.PrimaryHandler = new Around { InnerHandler = b.PrimaryHandler }));
            s.AddHttpClient("other").ConfigurePrimaryHttpMessageHandler(static () => new SocketsHttpHandler());
            s.AddGrpcClient<Greeter.GreeterClient>(static o => o.Address = new Uri("etcd:///svc")).AddEtcdDiscovery();
        });
        var factory = services.GetRequiredService<IHttpClientFactory>();

        foreach (var name in new[] { "plain", "wrapped" })
        {
            using var client = factory.CreateClient(name);
            Assert.Equal(server.Address, await client.GetStringAsync("x"));
        }

        using var other = factory.CreateClient("other");
        Assert.Equal(server.Address, await other.GetStringAsync(new Uri($"http://{server.Address}/")));
        Assert.NotNull(services.GetRequiredService<Greeter.GreeterClient>());
        Assert.Empty(field.Log.At(LogLevel.Warning));
    }

    [Fact]
    public async Task Certificates_among_the_defaults_of_all_clients_are_said_once_not_to_hold_here()
    {
        foreach (var (defaults, lost) in new (Action<IHttpClientBuilder> Defaults, string Lost)[]
        {
            (static b => b.ConfigurePrimaryHttpMessageHandler(static () => new Loud()), nameof(Loud)),
            (static b => b.ConfigurePrimaryHttpMessageHandler(static () => new HttpClientHandler { CheckCertificateRevocationList = true }),
                nameof(HttpClientHandler.CheckCertificateRevocationList)),
            (static b => b.UseSocketsHttpHandler(static (h, _) => h.SslOptions.TargetHost = "x"), nameof(SocketsHttpHandler.SslOptions)),
            (static b => b.ConfigurePrimaryHttpMessageHandler(static (h, _) => ((SocketsHttpHandler)h).SslOptions.TargetHost = "x"),
                nameof(SocketsHttpHandler.SslOptions)),
        })
        {
            await using var field = await Field.StartAsync();
            var server = await field.StartServerAsync();
            var services = field.Application(s =>
            {
                s.AddHttpClient("first").AddEtcdDiscovery(Field.Service);
                s.ConfigureHttpClientDefaults(defaults);
                s.AddHttpClient("second").AddEtcdDiscovery(Field.Service);
            });
            foreach (var name in new[] { "first", "second" })
            {
                using var client = services.GetRequiredService<IHttpClientFactory>().CreateClient(name);
                Assert.Equal(server.Address, await client.GetStringAsync("x"));
            }

            var warning = Assert.Single(field.Log.At(LogLevel.Warning));
            Assert.Contains($"({lost}) does not hold for the client 'first'", warning, StringComparison.Ordinal);
        }
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

    private sealed class Loud : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
            => throw new InvalidOperationException("This was called.");
    }
}
