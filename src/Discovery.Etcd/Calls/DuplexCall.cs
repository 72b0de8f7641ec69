using System.Threading.Channels;
using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>A call with streams both ways. Messages may be sent by anybody at any time; one reader reads.</summary>
internal sealed class DuplexCall<TRequest, TResponse> : IDisposable
    where TResponse : class
{
    // gRPC takes one message at a time, and its writer waits until the message is under way.
    private readonly Channel<TRequest> _outgoing = Channel.CreateUnbounded<TRequest>(new UnboundedChannelOptions { SingleReader = true });
    private readonly AsyncDuplexStreamingCall<TRequest, TResponse> _call;

    /// <summary>Takes over a call that was started.</summary>
    public DuplexCall(AsyncDuplexStreamingCall<TRequest, TResponse> call)
    {
        _call = call;
        _ = SendAllAsync();
    }

    /// <summary>Queues a message to be sent. Lost when the call ends first, which the reader notices.</summary>
    public void Send(TRequest message) => _outgoing.Writer.TryWrite(message);

    /// <summary>Reads the next message.</summary>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <returns>The message, or <see langword="null"/> when the server ended the call in good order.</returns>
    /// <exception cref="CallFailedException">The call failed; by the server's own cancellation too.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task<TResponse?> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false) ? _call.ResponseStream.Current : null;
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw CallFailedException.From(e);
        }
    }

    /// <summary>Ends the call at once.</summary>
    public void Dispose()
    {
        _outgoing.Writer.TryComplete();
        _call.Dispose();
    }

    private async Task SendAllAsync()
    {
        try
        {
            await foreach (var message in _outgoing.Reader.ReadAllAsync().ConfigureAwait(false))
            {
                await _call.RequestStream.WriteAsync(message).ConfigureAwait(false);
            }
        }
        catch (Exception)
        {
            // The call ended, which is told in as many ways as there are layers below; the reader learns why.
            _outgoing.Writer.TryComplete();
        }
    }
}
