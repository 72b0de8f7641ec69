using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>Makes the call of one attempt, at its endpoint and with its token.</summary>
internal sealed class AttemptInvoker(Attempt attempt) : UnaryCallInvoker
{
    /// <exception cref="CallFailedException">The call failed.</exception>
    /// <exception cref="OperationCanceledException">The attempt was ended.</exception>
    protected override async Task<TResponse> CallAsync<TRequest, TResponse>(
        Method<TRequest, TResponse> method, TRequest request, CallOptions options)
    {
        var connection = attempt.Endpoint.Calls.Rent();
        try
        {
            using var call = connection.Invoker.AsyncUnaryCall(
                method, null, options.WithHeaders(CallHeaders.Of(attempt.Token)).WithCancellationToken(attempt.CancellationToken), request);
            await call.ResponseHeadersAsync.ConfigureAwait(false);

            // From its first byte on an answer may take longer than the limit: it may be large.
            attempt.Answering();
            return await call.ResponseAsync.ConfigureAwait(false);
        }
        catch (RpcException e)
        {
            attempt.CancellationToken.ThrowIfCancellationRequested();
            throw CallFailedException.From(e);
        }
        finally
        {
            attempt.Endpoint.Calls.Return(connection, attempt.WasSilent);
        }
    }
}
