using Discovery.AspNetCore.Hosting.Settings;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Hosting;

/// <summary>Settings under the name of a client where that of a service belongs and the other way round, and shares of which a hundredth was written.</summary>
public sealed class MistakenNamesTests : IDisposable
{
    private readonly LogRecorder _log = new();

    private ServiceProvider? _provider;

    public void Dispose()
    {
        _provider?.Dispose();
        _log.Dispose();
    }

    [Theory]
    [InlineData("Services:OrdersClient:Policy", "Etcd:Discovery:Services:OrdersClient is for a service, but 'OrdersClient' is a client, and its service is 'orders': write Etcd:Discovery:Services:orders.")]
    [InlineData("Services:ORDERSCLIENT:Policy", "'OrdersClient' is a client, and its service is 'orders': write Etcd:Discovery:Services:orders.")]
    [InlineData("Services:OrdersClint:Policy", "'OrdersClient' is a client, and its service is 'orders': write Etcd:Discovery:Services:orders.")]
    [InlineData("Services:GreeterClient:Policy", "'greeter/Helloworld.Greeter.GreeterClient' is a client, and its service is 'greeter'")]
    [InlineData("Services:oders:Policy", "for service 'oders', which no client discovers. Did you mean 'orders'?")]
    [InlineData("Clients:orders:Service", "'orders' is a service, whose settings are in Etcd:Discovery:Services:orders; it is called by 'OrdersClient'.")]
    [InlineData("Clients:OrdersClient:Policy", "The setting Etcd:Discovery:Clients:OrdersClient:Policy is not known and has no effect. It is one of services: write Etcd:Discovery:Services:orders:Policy.")]
    [InlineData("Clients:orders:Policy", "It is one of services: write Etcd:Discovery:Services:<service>:Policy.")]
    [InlineData("Clients:users:Polcy", "The setting Etcd:Discovery:Clients:users:Polcy is not known and has no effect. There are: Service.")]
    public async Task A_name_in_the_wrong_place_is_warned_of_with_the_right_one(string setting, string expected)
    {
        await StartAsync(($"Etcd:Discovery:{setting}", "PickFirst"));

        Assert.Single(_log.At(LogLevel.Warning), l => l.Contains(expected, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Services:orders:Policy")]
    [InlineData("Services:users:Policy")]
    [InlineData("Services:billing:Policy")]
    [InlineData("Services:helloworld.Echo:Policy")]
    public async Task Services_of_clients_and_those_that_may_be_asked_for_later_are_not_warned_of(string setting)
    {
        await StartAsync(($"Etcd:Discovery:{setting}", "PickFirst"));

        Assert.Empty(_log.At(LogLevel.Warning));
    }

    [Theory]
    [InlineData("Split:v2", "0.05", "Etcd:Discovery:Split:v2 is 0.05, which is 0.05 percent of the calls; for 5 percent write 5.")]
    [InlineData("Services:orders:Split:v2", "0.5", "Etcd:Discovery:Split:v2 is 0.5, which is 0.5 percent of the calls; for 50 percent write 50.")]
    [InlineData("Services:billing:Split:v2", "0.001", "is 0.001, which is 0.001 percent of the calls; for 0.1 percent write 0.1.")]
    [InlineData("RetryBudgetPercent", "0.2", "Etcd:Discovery:RetryBudgetPercent is 0.2, which is 0.2 percent of the calls; for 20 percent write 20.")]
    public async Task A_share_below_one_percent_is_warned_of_once(string setting, string value, string expected)
    {
        await StartAsync(($"Etcd:Discovery:{setting}", value));

        Assert.Contains(expected, Assert.Single(_log.At(LogLevel.Warning)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Split:v2", "0")]
    [InlineData("Split:v2", "1")]
    [InlineData("Split:v2", "1.5")]
    [InlineData("RetryBudgetPercent", "20")]
    public async Task Other_shares_are_not_warned_of(string setting, string value)
    {
        await StartAsync(($"Etcd:Discovery:{setting}", value));

        Assert.Empty(_log.At(LogLevel.Warning));
    }

    [Fact]
    public async Task A_share_below_one_percent_that_comes_with_a_change_is_warned_of()
    {
        var configuration = await StartAsync();

        configuration["Etcd:Discovery:Services:orders:Split:v2"] = "0.05";
        configuration.Reload();
        configuration.Reload();

        Assert.Contains("for 5 percent write 5", Assert.Single(_log.At(LogLevel.Warning)), StringComparison.Ordinal);
    }

    private async Task<IConfigurationRoot> StartAsync(params (string Key, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(settings.Append((Key: "Etcd:Endpoints", Value: "http://127.0.0.1:9")).ToDictionary(static s => s.Key, static s => (string?)s.Value)).Build();
        var services = new ServiceCollection();
        services.AddLogging(l => l.AddProvider(_log)).AddSingleton<IConfiguration>(configuration);
        services.AddHttpClient("OrdersClient").AddEtcdDiscovery("orders");
        services.AddHttpClient("users").AddEtcdDiscovery();
        services.AddHttpClient("greeter/Helloworld.Greeter.GreeterClient").AddEtcdDiscovery("greeter");
        _provider = services.BuildServiceProvider();
        foreach (var hosted in _provider.GetServices<IHostedService>().Where(static s => s.GetType().Namespace == typeof(UnknownSettings).Namespace))
        {
            await hosted.StartAsync(CancellationToken.None);
        }

        return configuration;
    }
}
