using Grpc.Core;
using Grpc.Net.Client.Calls;

namespace Grpc.Net.Client;

/// <summary>Starts calls on a channel.</summary>
internal sealed class HttpClientCallInvoker(GrpcChannel channel) : CallInvoker
{
    public override TResponse BlockingUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
        => AsyncUnaryCall(method, host, options, request).ResponseAsync.GetAwaiter().GetResult();

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var call = new SingleResponseCall<TRequest, TResponse>(channel, method, options);
        call.Start(request);
        return new(
            call.ResponseAsync, CallFunctions.ResponseHeaders, CallFunctions.Status, CallFunctions.Trailers, CallFunctions.Dispose, call);
    }

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        var call = new SingleResponseCall<TRequest, TResponse>(channel, method, options);
        var writer = call.Start();
        return new(
            writer, call.ResponseAsync, CallFunctions.ResponseHeaders, CallFunctions.Status, CallFunctions.Trailers, CallFunctions.Dispose, call);
    }

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var call = new StreamResponseCall<TRequest, TResponse>(channel, method, options);
        call.Start(request);
        return new(
            call.Reader, CallFunctions.ResponseHeaders, CallFunctions.Status, CallFunctions.Trailers, CallFunctions.Dispose, call);
    }

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        var call = new StreamResponseCall<TRequest, TResponse>(channel, method, options);
        var writer = call.Start();
        return new(
            writer, call.Reader, CallFunctions.ResponseHeaders, CallFunctions.Status, CallFunctions.Trailers, CallFunctions.Dispose, call);
    }

    /// <summary>What the call objects do with the running call; static, so that a call allocates no delegates.</summary>
    private static class CallFunctions
    {
        public static readonly Func<object, Task<Metadata>> ResponseHeaders = static call => ((GrpcCall)call).ResponseHeadersAsync;
        public static readonly Func<object, Status> Status = static call => ((GrpcCall)call).GetStatus();
        public static readonly Func<object, Metadata> Trailers = static call => ((GrpcCall)call).GetTrailers();
        public static readonly Action<object> Dispose = static call => ((GrpcCall)call).Dispose();
    }
}
