using Google.Protobuf;

namespace Discovery.Etcd.Transport;

/// <summary>Calls with one request and one response.</summary>
internal static class GrpcUnaryCall
{
    /// <summary>Makes one call at one endpoint.</summary>
    /// <param name="invoker">The endpoint's connection.</param>
    /// <param name="address">The endpoint.</param>
    /// <param name="method">What to call.</param>
    /// <param name="request">What to send.</param>
    /// <param name="metadata">What goes beside it.</param>
    /// <param name="onProgress">Called whenever bytes of the response arrived.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="GrpcException">It failed.</exception>
    public static async Task<TResponse> InvokeAsync<TRequest, TResponse>(
        HttpMessageInvoker invoker, Uri address, EtcdMethod<TRequest, TResponse> method, TRequest request, GrpcMetadata metadata,
        Action? onProgress, CancellationToken cancellationToken)
        where TRequest : IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
    {
        using var message = GrpcRequest.Create(address, method.Path, new ByteArrayContent(GrpcFraming.Frame(request)), metadata);
        try
        {
            using var response = await invoker.SendAsync(message, cancellationToken);
            onProgress?.Invoke();
            GrpcStatus.CheckHead(response);
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            var reader = new GrpcFrameReader(body, onProgress: onProgress);
            var result = await reader.ReadAsync(method.Parser, cancellationToken);

            // The trailers arrive only when the body was read to its end.
            if (result is not null && await reader.ReadAsync(method.Parser, cancellationToken) is not null)
            {
                throw GrpcException.Malformed("the answer holds more than one message");
            }

            GrpcStatus.CheckTail(response);
            return result ?? throw GrpcException.Malformed("the answer holds no message");
        }
        catch (Exception e) when (GrpcFailure.IsOfTheNetwork(e, cancellationToken))
        {
            throw GrpcFailure.Translate(e);
        }
    }
}
