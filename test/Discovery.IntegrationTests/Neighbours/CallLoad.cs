using System.Collections.Concurrent;
using Grpc.Core;
using Peers.V1;
using InteropClient = Peers.V1.Interop.InteropClient;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>Callers of the neighbours' service that keep calling until they are stopped, and what became of their calls.</summary>
internal sealed class CallLoad : IAsyncDisposable
{
    private const int Callers = 4;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(2);

    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, int> _answers = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _failures = new();
    private readonly Task _callers;

    public CallLoad(InteropClient client)
        => _callers = Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(() => CallAsync(client))));

    /// <summary>How many calls each server answered.</summary>
    public IReadOnlyDictionary<string, int> Answers => _answers;

    public IReadOnlyCollection<string> Failures => _failures;

    /// <summary>Waits for more calls.</summary>
    public Task MadeAsync(int more)
    {
        var goal = Made + more;
        return Eventually.IsTrue(() => Made >= goal, TimeSpan.FromSeconds(60));
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _callers;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private int Made => _answers.Values.Sum() + _failures.Count;

    private async Task CallAsync(InteropClient client)
    {
        while (!_stop.IsCancellationRequested)
        {
            var began = TimeProvider.System.GetTimestamp();
            try
            {
                using var call = client.EchoAsync(new Message { Text = "load" }, deadline: (TimeProvider.System.GetUtcNow() + Limit).UtcDateTime);
                var headers = await call.ResponseHeadersAsync;
                await call;
                _answers.AddOrUpdate(headers.GetValue("served-by") ?? "", 1, static (_, count) => count + 1);
            }
            catch (RpcException e)
            {
                _failures.Enqueue($"{e.Status} after {TimeProvider.System.GetElapsedTime(began)}");
            }

            await Task.Delay(Pause);
        }
    }
}
