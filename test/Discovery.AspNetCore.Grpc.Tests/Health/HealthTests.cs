using System.Threading.Channels;
using Discovery.EmbeddedEtcd;
using Grpc.AspNetCore.HealthChecks;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using Helloworld;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace Discovery.AspNetCore.Grpc.Tests.Health;

/// <summary>What clients of gRPC's health service hear of a server that is registered in etcd.</summary>
public sealed class HealthTests : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    private EmbeddedEtcdServer _etcd = null!;

    public async Task InitializeAsync() => _etcd = await EmbeddedEtcdServer.StartAsync();

    public Task DisposeAsync() => _etcd.DisposeAsync().AsTask();

    [Theory]
    [InlineData("")]
    [InlineData("helloworld.Greeter")]
    [InlineData("greeter")]
    [InlineData("own")]
    public async Task Withdrawing_is_heard_at_once_and_so_is_restoring(string service)
    {
        await using var server = await StartAsync(configure: static o =>
        {
            o.Services.Map("own", static c => c.Name == "etcd-in-service");
            o.Services.Map("helloworld.Greeter", static c => c.Tags.Contains("greeter"));
        });
        using var channel = server.Channel();
        var health = new global::Grpc.Health.V1.Health.HealthClient(channel);
        using var watch = new Watcher(health, service);
        Assert.Equal(ServingStatus.Serving, await watch.NextAsync());

        await server.Registration.WithdrawAsync();
        Assert.Equal(ServingStatus.NotServing, await watch.NextOtherThanAsync(ServingStatus.Serving));
        Assert.Equal(ServingStatus.NotServing, await CheckAsync(health, service));

        await server.Registration.RestoreAsync();
        Assert.Equal(ServingStatus.Serving, await watch.NextOtherThanAsync(ServingStatus.NotServing));
        Assert.Equal(ServingStatus.Serving, await CheckAsync(health, service));
    }

    [Fact]
    public async Task A_name_for_liveness_does_not_hear_of_a_withdrawal_and_hears_of_its_own_checks_meanwhile()
    {
        var isAlive = true;
        await using var server = await StartAsync(
            configure: static o => o.Services.Map("live", static c => c.Tags.Contains("live")),
            checks: b => b.AddCheck("live", () => Volatile.Read(ref isAlive) ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy(), ["live"]),
            add: static s => s.Configure<HealthCheckPublisherOptions>(static o =>
            {
                o.Delay = TimeSpan.Zero;
                o.Period = TimeSpan.FromSeconds(1);
            }));
        using var channel = server.Channel();
        var health = new global::Grpc.Health.V1.Health.HealthClient(channel);
        using var watch = new Watcher(health, "live");
        using var whole = new Watcher(health, "");
        Assert.Equal(ServingStatus.Serving, await watch.NextAsync());
        Assert.Equal(ServingStatus.Serving, await whole.NextAsync());

        await server.Registration.WithdrawAsync();

        Assert.Equal(ServingStatus.NotServing, await whole.NextOtherThanAsync(ServingStatus.Serving));
        Assert.False(watch.TryNext(out _));
        Assert.Equal(ServingStatus.Serving, await CheckAsync(health, "live"));
        Volatile.Write(ref isAlive, false);
        Assert.Equal(ServingStatus.NotServing, await watch.NextOtherThanAsync(ServingStatus.Serving));
    }

    [Fact]
    public async Task A_stop_that_comes_when_all_is_disposed_does_nothing()
    {
        await using var server = await StartAsync();
        var services = server.HostedServices;
        Assert.True(services.Count >= 2);
        await server.StopAsync();
        await server.DisposeAsync();

        foreach (var service in services)
        {
            await service.StopAsync(CancellationToken.None);
            if (service is IHostedLifecycleService stages)
            {
                await stages.StoppingAsync(CancellationToken.None);
                await stages.StoppedAsync(CancellationToken.None);
            }
        }
    }

    [Fact]
    public async Task Draining_is_heard_while_the_server_still_serves()
    {
        await using var server = await StartAsync(registration: static o => o.DrainDelay = TimeSpan.FromSeconds(5));
        using var channel = server.Channel();
        var health = new global::Grpc.Health.V1.Health.HealthClient(channel);
        using var watch = new Watcher(health, "");
        Assert.Equal(ServingStatus.Serving, await watch.NextAsync());

        var stopping = server.StopAsync();

        Assert.Equal(ServingStatus.NotServing, await watch.NextOtherThanAsync(ServingStatus.Serving));
        Assert.Equal(ServingStatus.NotServing, await CheckAsync(health, "helloworld.Greeter"));
        Assert.False(stopping.IsCompleted);
        Assert.Equal("still here", (await new Greeter.GreeterClient(channel).SayHelloAsync(new HelloRequest { Name = "still here" })).Message);
        watch.Dispose();
        await stopping;
    }

    [Fact]
    public async Task A_report_that_was_begun_before_the_withdrawal_does_not_undo_it()
    {
        var check = new SlowCheck();
        await using var server = await StartAsync(
            checks: b => b.AddCheck("slow", check), add: static s => s.Configure<HealthCheckPublisherOptions>(static o =>
            {
                o.Delay = TimeSpan.Zero;
                o.Period = TimeSpan.FromSeconds(1);
            }));
        using var channel = server.Channel();
        using var watch = new Watcher(new global::Grpc.Health.V1.Health.HealthClient(channel), "");
        Assert.Equal(ServingStatus.Serving, await watch.NextAsync());
        await check.BlockAsync();

        await server.Registration.WithdrawAsync();
        Assert.Equal(ServingStatus.NotServing, await watch.NextOtherThanAsync(ServingStatus.Serving));
        var completed = check.Completed;
        check.Release();

        // The report that was under way, and the next.
        await Eventually.IsTrue(() => check.Completed >= completed + 2);
        Assert.False(watch.TryNext(out _));
        await server.Registration.RestoreAsync();
        Assert.Equal(ServingStatus.Serving, await watch.NextAsync());
    }

    [Fact]
    public async Task Other_checks_count_as_before()
    {
        var status = HealthStatus.Unhealthy;
        await using var server = await StartAsync(checks: b => b.AddCheck("database", () => new HealthCheckResult(status)));
        using var channel = server.Channel();
        var health = new global::Grpc.Health.V1.Health.HealthClient(channel);
        using var watch = new Watcher(health, "");
        Assert.Equal(ServingStatus.NotServing, await watch.NextAsync());

        await server.Registration.WithdrawAsync();
        await server.Registration.RestoreAsync();

        Assert.Equal(ServingStatus.NotServing, await CheckAsync(health, ""));
        status = HealthStatus.Healthy;
        Assert.Equal(ServingStatus.Serving, await CheckAsync(health, ""));
    }

    [Fact]
    public async Task A_watch_that_began_well_hears_of_a_withdrawal_although_the_last_report_was_bad()
    {
        var status = HealthStatus.Unhealthy;
        await using var server = await StartAsync(checks: b => b.AddCheck("database", () => new HealthCheckResult(status)));
        using var channel = server.Channel();
        var health = new global::Grpc.Health.V1.Health.HealthClient(channel);
        using (var first = new Watcher(health, ""))
        {
            Assert.Equal(ServingStatus.NotServing, await first.NextAsync());
        }

        status = HealthStatus.Healthy;
        using var watch = new Watcher(health, "");
        Assert.Equal(ServingStatus.Serving, await watch.NextAsync());
        await server.Registration.WithdrawAsync();

        await Eventually.IsTrue(() => watch.Last == ServingStatus.NotServing);
    }

    [Fact]
    public async Task An_application_that_starts_withdrawn_is_not_serving_until_it_is_restored()
    {
        await using var server = await StartAsync(registration: static o => o.StartWithdrawn = true);
        using var channel = server.Channel();
        var health = new global::Grpc.Health.V1.Health.HealthClient(channel);
        using var watch = new Watcher(health, "");
        Assert.Equal(ServingStatus.NotServing, await watch.NextAsync());

        await server.Registration.RestoreAsync();

        Assert.Equal(ServingStatus.Serving, await watch.NextOtherThanAsync(ServingStatus.NotServing));
    }

    [Fact]
    public async Task The_check_never_has_the_application_withdraw_and_cached_answers_follow_too()
    {
        await using var server = await StartAsync(configure: static o => o.UseHealthChecksCache = true, registration: static o =>
        {
            o.Health.Interval = TimeSpan.FromMilliseconds(100);
            o.Health.UnhealthyThreshold = 1;
        });
        using var channel = server.Channel();
        var health = new global::Grpc.Health.V1.Health.HealthClient(channel);
        await Eventually.IsTrue(async () => await CheckAsync(health, "") == ServingStatus.Serving);

        await server.Registration.WithdrawAsync();
        Assert.Equal(ServingStatus.NotServing, await CheckAsync(health, ""));
        Assert.Equal(ServiceRegistrationState.Withdrawn, server.Registration.Status.State);
        await server.Registration.RestoreAsync();

        Assert.Equal(ServiceRegistrationState.Registered, server.Registration.Status.State);
        await Eventually.IsTrue(async () => await CheckAsync(health, "") == ServingStatus.Serving);
    }

    [Fact]
    public async Task A_service_that_nobody_maps_is_not_found()
    {
        await using var server = await StartAsync();
        using var channel = server.Channel();

        var failure = await Assert.ThrowsAsync<RpcException>(() => CheckAsync(new global::Grpc.Health.V1.Health.HealthClient(channel), "nobody"));

        Assert.Equal(StatusCode.NotFound, failure.StatusCode);
    }

    private static async Task<ServingStatus> CheckAsync(global::Grpc.Health.V1.Health.HealthClient health, string service)
        => (await health.CheckAsync(new HealthCheckRequest { Service = service })).Status;

    private Task<HealthServer> StartAsync(
        Action<GrpcHealthChecksOptions>? configure = null,
        Action<EtcdRegistrationOptions>? registration = null,
        Action<IHealthChecksBuilder>? checks = null,
        Action<IServiceCollection>? add = null)
        => HealthServer.StartAsync(_etcd.Endpoint, configure, registration, checks, add);

    /// <summary>A running call of Watch.</summary>
    private sealed class Watcher : IDisposable
    {
        private readonly AsyncServerStreamingCall<HealthCheckResponse> _call;
        private readonly Channel<ServingStatus> _heard = System.Threading.Channels.Channel.CreateUnbounded<ServingStatus>();

        public Watcher(global::Grpc.Health.V1.Health.HealthClient health, string service)
        {
            _call = health.Watch(new HealthCheckRequest { Service = service });
            _ = ReadAsync();
        }

        public ServingStatus Last { get; private set; }

        public async Task<ServingStatus> NextAsync() => await _heard.Reader.ReadAsync().AsTask().WaitAsync(Limit);

        public bool TryNext(out ServingStatus next) => _heard.Reader.TryRead(out next);

        public async Task<ServingStatus> NextOtherThanAsync(ServingStatus before)
        {
            while (true)
            {
                if (await NextAsync() is var next && next != before)
                {
                    return next;
                }
            }
        }

        public void Dispose() => _call.Dispose();

        private async Task ReadAsync()
        {
            try
            {
                await foreach (var response in _call.ResponseStream.ReadAllAsync())
                {
                    Last = response.Status;
                    _heard.Writer.TryWrite(response.Status);
                }

                _heard.Writer.Complete();
            }
            catch (RpcException e)
            {
                _heard.Writer.Complete(e);
            }
        }
    }

    /// <summary>Is well, and takes until it is released while it is blocked.</summary>
    private sealed class SlowCheck : IHealthCheck
    {
        private readonly TaskCompletionSource _entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile bool _isBlocked;
        private int _completed;

        public int Completed => Volatile.Read(ref _completed);

        /// <summary>Blocks the next run, and waits for it.</summary>
        public Task BlockAsync()
        {
            _isBlocked = true;
            return _entered.Task.WaitAsync(Limit);
        }

        public void Release() => _released.TrySetResult();

        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            if (_isBlocked)
            {
                _entered.TrySetResult();
                await _released.Task.WaitAsync(cancellationToken);
            }

            Interlocked.Increment(ref _completed);
            return HealthCheckResult.Healthy();
        }
    }
}
