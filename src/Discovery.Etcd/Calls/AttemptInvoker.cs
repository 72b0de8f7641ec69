using Discovery.Etcd.Connections;
using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>Makes the call of one attempt, at its endpoint and with its token.</summary>
internal sealed class AttemptInvoker(Attempt attempt) : UnaryCallInvoker
{
    /// <summary>Makes a call.</summary>
    /// <param name="method">The method.</param>
    /// <param name="request">What to send.</param>
    /// <param name="options">Headers and the like; the attempt decides about cancellation.</param>
    /// <param name="onAnswered">Receives the call, when its response is there, and the response's headers.</param>
    /// <exception cref="CallFailedException">The call failed.</exception>
    /// <exception cref="OperationCanceledException">The attempt was ended.</exception>
    public Task<TResponse> CallAsync<TRequest, TResponse>(
        Method<TRequest, TResponse> method, TRequest request, CallOptions options, Action<AsyncUnaryCall<TResponse>, Metadata>? onAnswered)
        where TRequest : class
        where TResponse : class
    {
        var connection = attempt.UsesSecondConnection ? attempt.Endpoint.Calls.RentSecond() : attempt.Endpoint.Calls.Rent();
        AsyncUnaryCall<TResponse> call;
        try
        {
            call = connection.Invoker.AsyncUnaryCall(
                method, null, options.WithHeaders(CallHeaders.Of(attempt.Token, options.Headers)).WithCancellationToken(attempt.CancellationToken), request);
        }
        catch
        {
            attempt.Endpoint.Calls.Return(connection, CallOutcome.Unknown);
            throw;
        }

        return FinishAsync(connection, call, onAnswered);
    }

    /// <summary>Waits for the answer to a call that was made already, with the attempt's token and at its endpoint.</summary>
    /// <param name="connection">What it was made on; it is given back.</param>
    /// <param name="call">The call.</param>
    /// <exception cref="CallFailedException">The call failed.</exception>
    /// <exception cref="OperationCanceledException">The attempt was ended.</exception>
    public async Task<TResponse> AdoptAsync<TResponse>(EtcdConnection connection, AsyncUnaryCall<TResponse> call)
        where TResponse : class
    {
        using var end = attempt.CancellationToken.UnsafeRegister(static c => ((IDisposable)c!).Dispose(), call);
        return await FinishAsync(connection, call, onAnswered: null).ConfigureAwait(false);
    }

    protected override Task<TResponse> CallAsync<TRequest, TResponse>(Method<TRequest, TResponse> method, TRequest request, CallOptions options) =>
        CallAsync(method, request, options, onAnswered: null);

    private async Task<TResponse> FinishAsync<TResponse>(
        EtcdConnection connection, AsyncUnaryCall<TResponse> call, Action<AsyncUnaryCall<TResponse>, Metadata>? onAnswered)
        where TResponse : class
    {
        attempt.Connection = connection;
        try
        {
            using var ended = call;
            var headers = await call.ResponseHeadersAsync.ConfigureAwait(false);
            attempt.Answering();
            var response = await call.ResponseAsync.ConfigureAwait(false);
            attempt.Answered(response);
            onAnswered?.Invoke(call, headers);
            return response;
        }
        catch (RpcException e)
        {
            attempt.CancellationToken.ThrowIfCancellationRequested();
            var failure = CallFailedException.From(e);
            if (failure.Kind is CallFailureKind.Status or CallFailureKind.Malformed)
            {
                attempt.Answering();
            }

            throw failure;
        }
        finally
        {
            attempt.Endpoint.Calls.Return(connection, attempt.Outcome);
        }
    }
}
