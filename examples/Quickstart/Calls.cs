using System.Collections.Concurrent;

namespace Quickstart;

/// <summary>Calls the web API, and counts which instance answered and what failed.</summary>
internal sealed class Calls(HttpClient webApi)
{
    private readonly ConcurrentDictionary<string, int> _byInstance = new();
    private int _made;
    private int _failed;

    public int Made => _made;

    public int Failed => _failed;

    public string? FirstFailure { get; private set; }

    public IReadOnlyDictionary<string, int> ByInstance => _byInstance;

    /// <summary>Makes one call and returns the instance that answered, or null when it failed.</summary>
    public async Task<string?> MakeAsync()
    {
        try
        {
            var reply = await webApi.GetStringAsync("greet/traveller");
            var instance = reply[(reply.LastIndexOf(' ') + 1)..];
            _byInstance.AddOrUpdate(instance, 1, static (_, count) => count + 1);
            Interlocked.Increment(ref _made);
            return instance;
        }
        catch (HttpRequestException e)
        {
            Interlocked.Increment(ref _made);
            Interlocked.Increment(ref _failed);
            FirstFailure ??= e.Message;
            return null;
        }
    }

    /// <summary>Keeps several callers busy until something else is done.</summary>
    public async Task WhileAsync(Func<Task> work, int callers = 4)
    {
        using var done = new CancellationTokenSource();
        var loops = Enumerable.Range(0, callers).Select(async _ =>
        {
            while (!done.IsCancellationRequested)
            {
                await MakeAsync();
            }
        }).ToList();
        try
        {
            await work();
        }
        finally
        {
            await done.CancelAsync();
            await Task.WhenAll(loops);
        }
    }
}
