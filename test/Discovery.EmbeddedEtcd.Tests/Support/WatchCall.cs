using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Tests.Support;

/// <summary>A watch stream, read one response at a time.</summary>
internal sealed class WatchCall(AsyncDuplexStreamingCall<WatchRequest, WatchResponse> call) : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private Task _sent = Task.CompletedTask;

    public void Send(WatchCreateRequest request) => Send(new WatchRequest { CreateRequest = request });

    public async Task<WatchResponse> CreateAsync(WatchCreateRequest request)
    {
        Send(request);
        return await NextAsync();
    }

    public void Cancel(long id) => Send(new WatchRequest { CancelRequest = new WatchCancelRequest { WatchId = id } });

    public void RequestProgress() => Send(new WatchRequest { ProgressRequest = new WatchProgressRequest() });

    /// <summary>Says that nothing more will be asked.</summary>
    public async Task CompleteAsync()
    {
        await _sent;
        await call.RequestStream.CompleteAsync();
    }

    public async Task<WatchResponse> NextAsync()
        => await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Limit)
            ? call.ResponseStream.Current
            : throw new InvalidOperationException("The watch stream has ended.");

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

    private void Send(WatchRequest request) => _sent = SendAsync(_sent, request);

    // One write at a time; what goes wrong here is seen by whoever reads.
    private async Task SendAsync(Task before, WatchRequest request)
    {
        await before;
        try
        {
            await call.RequestStream.WriteAsync(request);
        }
        catch (Exception e) when (e is RpcException or InvalidOperationException)
        {
        }
    }
}
