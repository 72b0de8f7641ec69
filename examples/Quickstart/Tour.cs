using System.Diagnostics;
using System.Net;
using System.Text;
using Discovery.AspNetCore;
using Discovery.Etcd;
using Greeter.WebApi.Controllers;
using Grpc.Core;
using Grpc.Net.Client.Configuration;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace Quickstart;

/// <summary>Walks through the life of a service, and checks at each step that what it says holds.</summary>
internal sealed class Tour(string[] args) : IAsyncDisposable
{
    private const int CallsPerStep = 300;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    /// <summary>To greet twice does no harm, so a call whose server died may be made again.</summary>
    private static readonly MethodConfig GreetAgain = new()
    {
        Names = { MethodName.Default },
        RetryPolicy = new RetryPolicy
        {
            MaxAttempts = 3,
            InitialBackoff = TimeSpan.FromMilliseconds(20),
            MaxBackoff = TimeSpan.FromMilliseconds(200),
            BackoffMultiplier = 2,
            RetryableStatusCodes = { StatusCode.Unavailable },
        },
    };

    private readonly List<GreeterInstance> _instances = [];
    private WebApplication? _webApi;
    private HttpClient? _client;
    private bool _holds = true;
    private int _step;

    /// <returns>Whether everything held.</returns>
    public async Task<bool> RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            await StartAsync(cancellationToken);
            await DistributeAsync(cancellationToken);
            await KillOneAsync(cancellationToken);
            await StopOneAsync();
            cancellationToken.ThrowIfCancellationRequested();
            await StartOneAsync(cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            Console.WriteLine();
            Console.WriteLine("Interrupted: the instances leave etcd.");
            return false;
        }
        catch (Exception e) when (e is EtcdException or ServiceDiscoveryException or InvalidOperationException or OptionsValidationException)
        {
            Console.WriteLine();
            Console.WriteLine(e.Message);
            return false;
        }

        Console.WriteLine();
        Console.WriteLine(_holds ? "Everything held." : "Something did not hold; see the lines marked with NO.");
        return _holds;
    }

    /// <summary>Stays up until it is interrupted.</summary>
    public async Task ServeAsync(CancellationToken cancellationToken)
    {
        Console.WriteLine($"Serving: curl {_client!.BaseAddress}greet/you   (Ctrl+C ends)");
        Console.WriteLine($"Who is registered, and where calls go: {_client.BaseAddress}discovery");
        await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public async ValueTask DisposeAsync()
    {
        _client?.Dispose();
        await Task.WhenAll(_instances.Select(static async instance =>
        {
            await instance.StopAsync();
            await instance.DisposeAsync();
        }));

        if (_webApi is not null)
        {
            await _webApi.DisposeAsync();
        }
    }

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        Step("Three greeter instances start; each registers itself when its port is bound.");
        for (var i = 0; i < 3; i++)
        {
            _instances.Add(await GreeterInstance.StartAsync(args));
        }

        _webApi = await StartWebApiAsync();
        _client = new HttpClient { BaseAddress = new Uri(_webApi.Urls.First() + "/") };

        var etcd = _webApi.Services.GetRequiredService<EtcdClient>();
        foreach (var key in _instances.SelectMany(static i => i.Keys))
        {
            var record = await etcd.GetAsync(key, cancellationToken);
            Check(record is not null, $"{key} = {(record is null ? "(absent)" : Encoding.UTF8.GetString(record.Value.Span))}");
        }
    }

    private async Task DistributeAsync(CancellationToken cancellationToken)
    {
        Step($"The web API's controller calls the service by name, {CallsPerStep} times, from 4 callers.");
        var calls = new Calls(_client!);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            for (var i = 0; i < CallsPerStep / 4; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                await calls.MakeAsync();
            }
        }));
        foreach (var (instance, count) in calls.ByInstance.OrderBy(static c => c.Key, StringComparer.Ordinal))
        {
            Console.WriteLine($"     {instance,-22} {count,4} calls {new string('#', count / 5)}");
        }

        Check(calls.ByInstance.Count == _instances.Count, $"every instance was called ({calls.ByInstance.Count} of {_instances.Count})");
        CheckNoneFailed(calls);
    }

    private async Task KillOneAsync(CancellationToken cancellationToken)
    {
        Step("One instance is killed, so it cannot drain, while calls go on.");
        var victim = _instances[0];
        _instances.Remove(victim);
        var calls = new Calls(_client!);
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < CallsPerStep; i++)
        {
            // Whether a call that the victim was sent was carried out, nobody knows: it is made again by whoever may do so, as the web API may.
            if (i == CallsPerStep / 3)
            {
                await victim.KillAsync();
                clock.Restart();
            }

            cancellationToken.ThrowIfCancellationRequested();
            await calls.MakeAsync();
        }

        Console.WriteLine($"     killed: {victim.Address}, after {CallsPerStep / 3} of {CallsPerStep} calls");
        CheckNoneFailed(calls);

        var directory = _webApi!.Services.GetRequiredService<IServiceDirectory>();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        var left = false;
        try
        {
            await foreach (var snapshot in directory.SubscribeAsync(ServiceName, limit.Token))
            {
                if (left = snapshot.Find(victim.Address) is null)
                {
                    break;
                }
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Too late; the check says so.
        }

        Check(left, $"its key left etcd with its lease, {clock.Elapsed.TotalSeconds:0.0} s after");
        await victim.DisposeAsync();
    }

    private async Task StopOneAsync()
    {
        Step("One instance is stopped gracefully under load: it drains, leaves etcd, and only then closes.");
        var leaver = _instances[0];
        _instances.Remove(leaver);
        var calls = new Calls(_client!);
        await calls.WhileAsync(leaver.StopAsync);
        Console.WriteLine($"     stopped: {leaver.Address}, under {calls.Made} calls");
        CheckNoneFailed(calls);
        await leaver.DisposeAsync();
    }

    private async Task StartOneAsync(CancellationToken cancellationToken)
    {
        Step("A new instance starts.");
        var calls = new Calls(_client!);
        GreeterInstance? joiner = null;
        await calls.WhileAsync(async () =>
        {
            joiner = await GreeterInstance.StartAsync(args);
            _instances.Add(joiner);
            var clock = Stopwatch.StartNew();
            while (!calls.ByInstance.ContainsKey(joiner.Address) && clock.Elapsed < Patience)
            {
                await Task.Delay(1, cancellationToken);
            }

            Check(
                calls.ByInstance.ContainsKey(joiner.Address),
                $"first call reached {joiner.Address} {clock.Elapsed.TotalMilliseconds:0} ms after it had started");
        });
        CheckNoneFailed(calls);
    }

    private async Task<WebApplication> StartWebApiAsync()
    {
        var builder = GreeterInstance.CreateBuilder(args);
        builder.WebHost.ConfigureKestrel(static kestrel =>
            kestrel.Listen(IPAddress.Loopback, 0, static endpoint => endpoint.Protocols = HttpProtocols.Http1));
        builder.Services.AddControllers().AddApplicationPart(typeof(GreetController).Assembly);
        builder.Services.AddEtcdGrpcClient<Helloworld.Greeter.GreeterClient>(ServiceNameOf(builder.Configuration))
            .ConfigureChannel(static channel => channel.ServiceConfig = new ServiceConfig { MethodConfigs = { GreetAgain } });

        // The tour's two sides share their settings, so the client reads what the servers write unless told otherwise.
        if (builder.Configuration["Etcd:Discovery:Layout"] is null && builder.Configuration["Etcd:Registration:Layout"] is { } layout)
        {
            builder.Configuration["Etcd:Discovery:Layout"] = layout.Split(',')[0];
        }

        var app = builder.Build();
        app.MapControllers();
        app.MapEtcdDiscovery();
        await app.StartAsync();
        return app;
    }

    private string ServiceName => ServiceNameOf(_webApi!.Configuration);

    private static string ServiceNameOf(IConfiguration configuration) => configuration["Etcd:Registration:ServiceName"] ?? "greeter";

    private void Step(string text)
    {
        Console.WriteLine();
        Console.WriteLine($"{++_step}. {text}");
    }

    private void Check(bool holds, string text)
    {
        _holds &= holds;
        Console.WriteLine($"  {(holds ? "ok" : "NO")} {text}");
    }

    private void CheckNoneFailed(Calls calls)
        => Check(calls.Failed == 0, $"failed calls: {calls.Failed} of {calls.Made}{(calls.FirstFailure is { } e ? $" ({e})" : "")}");
}
