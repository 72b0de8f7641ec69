using Grpc.Core;
using Grpc.Net.Client.Requests;
using Grpc.Net.Client.Responses;
using Grpc.Protocol;

namespace Grpc.Net.Client.Calls;

/// <summary>A call with the types of its messages.</summary>
internal abstract class TypedCall<TRequest, TResponse>(GrpcChannel channel, Method<TRequest, TResponse> method, CallOptions options)
    : GrpcCall(channel, method, options)
    where TRequest : class
    where TResponse : class
{
    /// <summary>Starts a call with one request.</summary>
    public void Start(TRequest request) => Run(new SingleMessageContent(stream => WriteAsync(stream, request)));

    /// <summary>Starts a call with many requests.</summary>
    public ClientStreamWriter<TRequest, TResponse> Start()
    {
        RequestStream = new MessageStreamContent();
        var writer = new ClientStreamWriter<TRequest, TResponse>(this, RequestStream);
        Run(RequestStream);
        return writer;
    }

    /// <summary>Writes one message.</summary>
    public async Task WriteAsync(Stream stream, TRequest message)
    {
        using var request = new RequestMessage(Channel.MaxSendMessageSize);
        method.RequestMarshaller.ContextualSerializer(message, request);
        try
        {
            await stream.WriteAsync(request.Frame, CancellationToken);
        }
        catch (Exception failure) when (failure is OperationCanceledException or ObjectDisposedException && Completion.IsCompletedSuccessfully)
        {
            // The call ended during the write; how it ended is the better answer.
            throw ToCancelledException(Completion.Result);
        }
    }

    /// <summary>Opens the body of the response.</summary>
    public async Task<ResponseReader<TResponse>> OpenAsync(HttpResponseMessage response)
        => new(
            await response.Content.ReadAsStreamAsync(CancellationToken),
            ResponseHead.GetEncoding(response),
            method.ResponseMarshaller.ContextualDeserializer,
            Channel.MaxReceiveMessageSize);

    protected abstract void Run(HttpContent content);
}
