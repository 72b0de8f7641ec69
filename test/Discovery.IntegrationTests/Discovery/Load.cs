using System.Collections.Concurrent;
using Grpc.Core;

namespace Discovery.IntegrationTests.Discovery;

/// <summary>Callers that keep calling until they are stopped, and what became of their calls.</summary>
internal sealed class Load : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _turns;
    private readonly Task _callers;
    private readonly int _count;
    private readonly ConcurrentDictionary<string, int> _answers = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _failures = new();

    public Load(HttpClient client, int callers = 4)
        : this(() => client.GetStringAsync("x"), callers)
    {
    }

    /// <summary>Begins to call.</summary>
    /// <param name="call">Makes one call and returns who answered.</param>
    /// <param name="callers">How many call at a time.</param>
    public Load(Func<Task<string>> call, int callers = 4)
    {
        _count = callers;
        _turns = new SemaphoreSlim(callers);
        _callers = Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(() => CallAsync(call))));
    }

    public IReadOnlyDictionary<string, int> Answers => _answers;

    public IReadOnlyCollection<string> Failures => _failures;

    public int Made => _answers.Values.Sum() + _failures.Count;

    /// <summary>Does something while no call is under way: a call that a dying instance holds is lost, and not what is asked here.</summary>
    public async Task BetweenCallsAsync(Func<Task> work)
    {
        for (var i = 0; i < _count; i++)
        {
            await _turns.WaitAsync();
        }

        await work();
        _turns.Release(_count);
    }

    /// <summary>Waits for more calls.</summary>
    public Task MoreAsync(int calls)
    {
        var goal = Made + calls;
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
        _turns.Dispose();
        _stop.Dispose();
    }

    private async Task CallAsync(Func<Task<string>> call)
    {
        while (!_stop.IsCancellationRequested)
        {
            await _turns.WaitAsync();
            try
            {
                var answer = await call();
                _answers.AddOrUpdate(answer, 1, static (_, count) => count + 1);
            }
            catch (Exception e) when (e is HttpRequestException or RpcException)
            {
                _failures.Enqueue(e.Message);
            }
            finally
            {
                _turns.Release();
            }
        }
    }
}
