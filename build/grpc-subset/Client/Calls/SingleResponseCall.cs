using System.Diagnostics.CodeAnalysis;
using Grpc.Core;
using Grpc.Net.Client.Responses;

namespace Grpc.Net.Client.Calls;

/// <summary>A call with one response.</summary>
internal sealed class SingleResponseCall<TRequest, TResponse>(GrpcChannel channel, Method<TRequest, TResponse> method, CallOptions options)
    : TypedCall<TRequest, TResponse>(channel, method, options)
    where TRequest : class
    where TResponse : class
{
    private static readonly Status NoMessage = new(StatusCode.Internal, "Failed to deserialize response message.");

    private static readonly Status OkWithoutMessage = new(
        StatusCode.Internal,
        NoMessage.Detail + " The response header contains a gRPC status of OK, which means any message returned to the client for this call should be ignored."
        + " A unary or client streaming gRPC call must have a response message, which makes this response invalid.");

    [AllowNull]
    public Task<TResponse> ResponseAsync { get; private set; }

    protected override void Run(HttpContent content)
    {
        ResponseAsync = RunAsync(content);

        // Who disposes a call may never look at its response.
        Observe(ResponseAsync);
    }

    private async Task<TResponse> RunAsync(HttpContent content)
    {
        Status status;
        TResponse? message;
        try
        {
            (status, message) = await ExchangeAsync(content);
        }
        catch (Exception failure)
        {
            var exception = Fail(failure);
            LogEnd(Completion.Result);
            if (exception == failure)
            {
                throw;
            }

            throw exception;
        }

        Finish(status);
        LogEnd(status);
        return status.StatusCode switch
        {
            StatusCode.OK => message!,
            StatusCode.DeadlineExceeded when Channel.ThrowOperationCanceled => throw new TaskCanceledException(),
            _ => throw ToException(status),
        };
    }

    private async Task<(Status Status, TResponse? Message)> ExchangeAsync(HttpContent content)
    {
        var response = await SendAsync(content);
        if (GetEarlyStatus(response) is { } early)
        {
            return (early.StatusCode == StatusCode.OK ? OkWithoutMessage : early, null);
        }

        var reader = await OpenAsync(response);
        var message = await reader.ReadSingleAsync(CancellationToken);
        var status = ResponseHead.GetFinalStatus(response);
        return (message is null && status.StatusCode == StatusCode.OK ? NoMessage : status, message);
    }
}
