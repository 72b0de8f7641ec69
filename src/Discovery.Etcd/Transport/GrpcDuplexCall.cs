using System.Threading.Channels;
using Google.Protobuf;

namespace Discovery.Etcd.Transport;

/// <summary>A call with streams both ways. Messages may be sent by anybody at any time; one reader reads.</summary>
internal sealed class GrpcDuplexCall<TRequest, TResponse> : IDisposable
    where TRequest : IMessage<TRequest>
    where TResponse : class, IMessage<TResponse>
{
    private readonly Channel<TRequest> _outgoing = Channel.CreateUnbounded<TRequest>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource _disposed = new();
    private readonly EtcdMethod<TRequest, TResponse> _method;
    private readonly Task<HttpResponseMessage> _response;
    private GrpcFrameReader? _reader;

    /// <summary>Starts the call. The server's headers come with its first message, so nothing is awaited here.</summary>
    public GrpcDuplexCall(HttpMessageInvoker invoker, Uri address, EtcdMethod<TRequest, TResponse> method, GrpcMetadata metadata)
    {
        _method = method;
        var request = GrpcRequest.Create(address, method.Path, new GrpcDuplexContent<TRequest>(_outgoing.Reader), metadata);
        _response = invoker.SendAsync(request, _disposed.Token);
    }

    /// <summary>Queues a message to be sent. Lost when the call ends first, which the reader notices.</summary>
    public void Send(TRequest message) => _outgoing.Writer.TryWrite(message);

    /// <summary>Reads the next message.</summary>
    /// <returns>The message, or <see langword="null"/> when the server ended the call in good order.</returns>
    /// <exception cref="GrpcException">The call failed.</exception>
    public async Task<TResponse?> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            var response = await _response.WaitAsync(cancellationToken);
            if (_reader is null)
            {
                GrpcStatus.CheckHead(response);
                _reader = new GrpcFrameReader(await response.Content.ReadAsStreamAsync(cancellationToken));
            }

            var message = await _reader.ReadAsync(_method.Parser, cancellationToken);
            if (message is null)
            {
                GrpcStatus.CheckTail(response);
            }

            return message;
        }
        catch (Exception e) when (GrpcFailure.IsOfTheNetwork(e, cancellationToken))
        {
            throw GrpcFailure.Translate(e);
        }
    }

    /// <summary>Ends the call at once.</summary>
    public void Dispose()
    {
        _outgoing.Writer.TryComplete();
        _disposed.Cancel();
        _ = DisposeResponseAsync();
    }

    private async Task DisposeResponseAsync()
    {
        try
        {
            (await _response).Dispose();
        }
        catch (Exception e) when (GrpcFailure.IsOfTheNetwork(e, CancellationToken.None))
        {
            // The call never got an answer: there is nothing to dispose.
        }

        _disposed.Dispose();
    }
}
