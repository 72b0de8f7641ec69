using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>A call invoker for those of our own stubs' calls that have one request and one response.</summary>
internal abstract class UnaryCallInvoker : CallInvoker
{
    // Made once: a lambda in a generic method is looked up at each call.
    private static readonly Task<Metadata> NoHeaders = Task.FromResult(Metadata.Empty);
    private static readonly Func<Status> Success = static () => Status.DefaultSuccess;
    private static readonly Func<Metadata> NoTrailers = static () => Metadata.Empty;
    private static readonly Action Nothing = static () => { };

    public sealed override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
        new(CallAsync(method, request, options), NoHeaders, Success, NoTrailers, Nothing);

    public sealed override TResponse BlockingUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

    public sealed override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

    public sealed override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();

    public sealed override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();

    protected abstract Task<TResponse> CallAsync<TRequest, TResponse>(Method<TRequest, TResponse> method, TRequest request, CallOptions options)
        where TRequest : class
        where TResponse : class;
}
