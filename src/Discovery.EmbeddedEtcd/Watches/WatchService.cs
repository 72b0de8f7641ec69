using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Watches;

/// <summary>etcdserverpb.Watch: one task reads the client's requests, the other sends.</summary>
internal sealed class WatchService(EtcdEngine engine, TimeSpan progressInterval, CancellationToken stopping) : Watch.WatchBase
{
    public override async Task Watch(
        IAsyncStreamReader<WatchRequest> requestStream, IServerStreamWriter<WatchResponse> responseStream, ServerCallContext context)
    {
        using var session = new WatchSession(engine, progressInterval);
        using var sending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, stopping);
        using var receiving = CancellationTokenSource.CreateLinkedTokenSource(sending.Token);
        // A streaming client waits for the headers before it has anything to say.
        await context.WriteResponseHeadersAsync([]).ConfigureAwait(false);
        var received = ReceiveAsync(requestStream, session, receiving.Token);
        try
        {
            await SendAsync(new WatchWriter(responseStream), session, sending.Token).ConfigureAwait(false);
        }
        finally
        {
            await receiving.CancelAsync().ConfigureAwait(false);
            await received.ConfigureAwait(false);
        }
    }

    private static async Task SendAsync(WatchWriter writer, WatchSession session, CancellationToken cancellationToken)
    {
        while (true)
        {
            while (session.Next(out var mayFragment) is { } response)
            {
                foreach (var part in mayFragment ? WatchFragments.Of(response) : [response])
                {
                    await writer.WriteAsync(part).ConfigureAwait(false);
                }
            }

            await writer.FlushAsync().ConfigureAwait(false);
            await session.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    // A client that closes its side goes on receiving, as with etcd; an error ends the stream through its sender.
    private static async Task ReceiveAsync(IAsyncStreamReader<WatchRequest> requests, WatchSession session, CancellationToken cancellationToken)
    {
        try
        {
            while (await requests.MoveNext(cancellationToken).ConfigureAwait(false))
            {
                session.Handle(requests.Current);
            }
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            // The sender ends the stream.
        }
        catch (Exception e)
        {
            session.Fail(e);
        }
    }
}
