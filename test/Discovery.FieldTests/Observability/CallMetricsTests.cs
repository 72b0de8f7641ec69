using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http.Resilience;

namespace Discovery.FieldTests.Observability;

/// <summary>The metrics of calls, with the values that an operator expects.</summary>
public sealed class CallMetricsTests
{
    private static readonly (string, object) Service = ("discovery.service", Field.Service);

    [Fact]
    public async Task Picks_attempts_and_connections_are_counted()
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync(metadata: "\"id\":\"a\"");
        var services = field.Application(
            static s => s.AddHttpClient("client").AddEtcdDiscovery(Field.Service), static o => o.HoldDuration = TimeSpan.Zero);
        using var metrics = new MetricRecorder(services);
        using var client = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");

        for (var i = 0; i < 5; i++)
        {
            await client.GetStringAsync("x");
        }

        Assert.Equal(5, metrics.Value("discovery.client.picks", Service, ("discovery.pick.result", "picked")));
        Assert.Equal(0, metrics.Value("discovery.client.picks", Service, ("discovery.pick.result", "none")));
        Assert.Equal(5, metrics.Value("discovery.client.instance.picks", Service, ("discovery.instance", "a")));
        Assert.Equal(5, metrics.Count("discovery.client.attempt.duration", Service, ("discovery.attempt.outcome", "success")));
        Assert.Equal(1, metrics.Count("discovery.client.connect.duration", Service));
        Assert.Equal(1, metrics.Value("discovery.client.open_connections", Service));
        Assert.Equal(0, metrics.Value("discovery.client.active_calls", Service));
        Assert.Equal(1, metrics.Value("discovery.client.instances", Service, ("discovery.instance.state", "available")));

        await field.DeregisterAsync(server.Address);
        await Eventually.IsTrue(() => metrics.Value("discovery.client.open_connections", Service) == 0);
        await Eventually.IsTrue(async () =>
        {
            try
            {
                await client.GetStringAsync("x");
                return false;
            }
            catch (HttpRequestException)
            {
                return true;
            }
        });
        Assert.True(metrics.Value("discovery.client.picks", Service, ("discovery.pick.result", "none")) >= 1);
        Assert.True(metrics.Value("discovery.client.picks", Service, ("discovery.pick.result", "picked")) >= 5, "A counter never goes back.");
    }

    [Theory]
    [InlineData(50, "discovery.client.ejections_enforced", "discovery.client.ejections_unenforced")]
    [InlineData(0, "discovery.client.ejections_unenforced", "discovery.client.ejections_enforced")]
    public async Task An_instance_that_cannot_be_connected_to_shows_as_failover_and_ejection(int maxEjectedPercent, string counted, string notCounted)
    {
        await using var field = await Field.StartAsync();
        await field.RegisterAsync(Field.DeadAddress(1));
        await field.StartServerAsync();
        await field.StartServerAsync();
        var services = field.Application(
            static s => s.AddHttpClient("client").AddEtcdDiscovery(Field.Service),
            o => (o.Policy, o.Ejection.MaxEjectedPercent) = ("RoundRobin", maxEjectedPercent));
        using var metrics = new MetricRecorder(services);
        using var client = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");

        await Eventually.IsTrue(async () =>
        {
            await client.GetStringAsync("x");
            return metrics.Value(counted, Service) > 0;
        });

        var failed = metrics.Count("discovery.client.attempt.duration", Service, ("discovery.attempt.outcome", "connect_failure"));
        Assert.True(failed > 0);
        Assert.Equal(failed, metrics.Value("discovery.client.failovers", Service));
        Assert.Equal(0, metrics.Value(notCounted, Service));
        Assert.True(metrics.Count("discovery.client.connect.duration", Service, ("error.type", "connection_refused")) > 0);
        Assert.Equal(1, metrics.Value("discovery.client.instances", Service, ("discovery.instance.state", "ejected")));
        Assert.Equal(2, metrics.Value("discovery.client.instances", Service, ("discovery.instance.state", "available")));
    }

    [Fact]
    public async Task Retries_that_the_budget_refuses_are_counted()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(static c =>
        {
            c.Response.StatusCode = 503;
            return Task.CompletedTask;
        });
        var services = field.Application(
            static s => s.AddHttpClient("client").AddEtcdDiscovery(Field.Service).AddStandardResilienceHandler(static o =>
            {
                o.Retry.MaxRetryAttempts = 1;
                o.Retry.Delay = TimeSpan.FromMilliseconds(1);
                o.CircuitBreaker.MinimumThroughput = 10_000;
            }),
            static o => (o.RetryBudgetPercent, o.Ejection.Enabled) = (1, false));
        using var metrics = new MetricRecorder(services);
        using var client = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");

        await Eventually.IsTrue(async () =>
        {
            try
            {
                using var response = await client.GetAsync("x");
            }
            catch (HttpRequestException)
            {
                // What a refused retry leaves.
            }

            return metrics.Value("discovery.client.retries_refused", Service) > 0;
        });
    }

    [Fact]
    public async Task A_client_with_settings_of_its_own_has_its_name()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync();
        var services = field.Application(static s =>
        {
            s.AddHttpClient("one").AddEtcdDiscovery(Field.Service);
            s.AddHttpClient("two").AddEtcdDiscovery(Field.Service, static o => o.Policy = "Random");
        });
        using var metrics = new MetricRecorder(services);
        var clients = services.GetRequiredService<IHttpClientFactory>();
        using var one = clients.CreateClient("one");
        using var two = clients.CreateClient("two");

        await one.GetStringAsync("x");
        await two.GetStringAsync("x");
        await two.GetStringAsync("x");

        Assert.Equal(2, metrics.Value("discovery.client.picks", Service, ("discovery.client", "two@svc"), ("discovery.pick.result", "picked")));
        Assert.Equal(3, metrics.Value("discovery.client.picks", Service, ("discovery.pick.result", "picked")));
    }

    [Fact]
    public async Task No_tag_has_what_a_record_says_but_for_a_bounded_number_of_instances()
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 200; i++)
        {
            await field.RegisterAsync(Field.DeadAddress(i), $"\"id\":\"made-up-{i}\",\"zone\":\"zone-{i}\",\"version\":\"{i}\"");
        }

        var services = field.Application(static s => s.AddHttpClient("client").AddEtcdDiscovery(Field.Service), static o => o.Zone = "zone-1");
        using var metrics = new MetricRecorder(services);
        using var client = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        for (var i = 0; i < 20; i++)
        {
            await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync("x"));
        }

        _ = metrics.Value("discovery.client.picks");
        var foreign = metrics.All
            .SelectMany(static m => m.Tags.Select(t => (m.Name, Tag: t.Key, Value: $"{t.Value}")))
            .Where(static t => t.Value.Contains("made-up", StringComparison.Ordinal) || t.Value.Contains("zone-", StringComparison.Ordinal)
                || t.Value.StartsWith("127.9.", StringComparison.Ordinal))
            .Distinct()
            .ToList();
        Assert.Equal(50, foreign.Count);
        Assert.All(foreign, static t => Assert.Equal(("discovery.client.instance.picks", "discovery.instance"), (t.Name, t.Tag)));
    }
}
