using Discovery.EmbeddedEtcd.Server;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.Watches;

/// <summary>etcdserverpb.Watch: one task reads the client's requests, this one sends.</summary>
internal sealed class WatchService(EtcdEngine engine, TimeSpan progressInterval)
{
    // What one flush hands to the connection at most: it waits there for the client's window.
    private const int FlushThreshold = 64 * 1024;

    public async Task WatchAsync(GrpcCall call, CancellationToken cancellationToken)
    {
        using var stream = new WatchStream(engine, progressInterval);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await call.StartAsync(cancellationToken);
        var receiving = ReceiveAsync(call, stream, ending.Token);
        try
        {
            await SendAsync(call, stream, cancellationToken);
        }
        finally
        {
            await ending.CancelAsync();
            await receiving;
        }
    }

    private static async Task SendAsync(GrpcCall call, WatchStream stream, CancellationToken cancellationToken)
    {
        while (true)
        {
            while (stream.Next(out var mayFragment) is { } response)
            {
                foreach (var part in mayFragment ? WatchFragments.Of(response) : [response])
                {
                    call.Write(part);
                    if (call.UnflushedBytes > FlushThreshold)
                    {
                        await call.FlushAsync(cancellationToken);
                    }
                }
            }

            await call.FlushAsync(cancellationToken);
            await stream.WaitAsync(cancellationToken);
        }
    }

    // A client that closes its side goes on receiving, as with etcd; an error ends the stream through its sender.
    private static async Task ReceiveAsync(GrpcCall call, WatchStream stream, CancellationToken cancellationToken)
    {
        try
        {
            while (await call.ReadAsync(WatchRequest.Parser, cancellationToken) is { } request)
            {
                stream.Handle(request);
            }
        }
        catch (OperationCanceledException)
        {
        }
        catch (Exception e)
        {
            stream.Fail(e);
        }
    }
}
