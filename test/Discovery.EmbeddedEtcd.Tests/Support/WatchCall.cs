using Discovery.Etcd.Calls;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.Tests.Support;

/// <summary>A watch stream, read one response at a time.</summary>
internal sealed class WatchCall(DuplexCall<WatchRequest, WatchResponse> call) : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    public void Send(WatchCreateRequest request) => call.Send(new WatchRequest { CreateRequest = request });

    public async Task<WatchResponse> CreateAsync(WatchCreateRequest request)
    {
        Send(request);
        return await NextAsync();
    }

    public void Cancel(long id) => call.Send(new WatchRequest { CancelRequest = new WatchCancelRequest { WatchId = id } });

    public void RequestProgress() => call.Send(new WatchRequest { ProgressRequest = new WatchProgressRequest() });

    public async Task<WatchResponse> NextAsync()
        => await call.ReadAsync(CancellationToken.None).WaitAsync(Limit) ?? throw new InvalidOperationException("The watch stream has ended.");

    /// <summary>Reads until that many events have come: how many responses they come in is the server's choice.</summary>
    public async Task<List<Event>> EventsAsync(int count)
    {
        var events = new List<Event>();
        while (events.Count < count)
        {
            events.AddRange((await NextAsync()).Events);
        }

        return events;
    }

    public void Dispose() => call.Dispose();
}
