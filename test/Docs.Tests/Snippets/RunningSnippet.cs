using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Docs.Tests.Snippets;

/// <summary>A snippet that runs as an application. Its host is had as tools have it: by the event of the builder.</summary>
internal sealed class RunningSnippet : IObserver<DiagnosticListener>, IObserver<KeyValuePair<string, object?>>, IAsyncDisposable
{
    private static readonly AsyncLocal<RunningSnippet?> Current = new();

    private readonly TaskCompletionSource<IHost> _host = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentBag<IDisposable> _subscriptions = [];
    private readonly Task _running;

    private RunningSnippet(string snippet, string[] arguments)
    {
        var main = SnippetCompiler.Load(snippet);
        _subscriptions.Add(DiagnosticListener.AllListeners.Subscribe(this));
        _running = Task.Factory.StartNew(
            () =>
            {
                // Others may build hosts at the same time.
                Current.Value = this;
                main.Invoke(null, [arguments]);
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
    }

    /// <summary>Starts it.</summary>
    /// <returns>The application, whose host is built and, if it does that itself, about to start.</returns>
    public static async Task<RunningSnippet> StartAsync(string snippet, params string[] arguments)
    {
        var running = new RunningSnippet(snippet, arguments);
        await await Task.WhenAny(running._host.Task, running._running).WaitAsync(TimeSpan.FromMinutes(1));
        return running;
    }

    public IServiceProvider Services => _host.Task.Result.Services;

    public async ValueTask DisposeAsync()
    {
        foreach (var subscription in _subscriptions)
        {
            subscription.Dispose();
        }

        var host = await _host.Task;
        if (!_running.IsCompleted)
        {
            host.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
        }

        await _running;
        host.Dispose();
    }

    void IObserver<DiagnosticListener>.OnNext(DiagnosticListener value)
    {
        if (value.Name == "Microsoft.Extensions.Hosting")
        {
            _subscriptions.Add(value.Subscribe(this));
        }
    }

    void IObserver<KeyValuePair<string, object?>>.OnNext(KeyValuePair<string, object?> value)
    {
        if (value is { Key: "HostBuilt", Value: IHost host } && Current.Value == this)
        {
            _host.TrySetResult(host);
        }
    }

    void IObserver<DiagnosticListener>.OnCompleted()
    {
        // Nothing to do: the snippet ends by itself.
    }

    void IObserver<DiagnosticListener>.OnError(Exception error)
    {
        // As above.
    }

    void IObserver<KeyValuePair<string, object?>>.OnCompleted()
    {
        // As above.
    }

    void IObserver<KeyValuePair<string, object?>>.OnError(Exception error)
    {
        // As above.
    }
}
