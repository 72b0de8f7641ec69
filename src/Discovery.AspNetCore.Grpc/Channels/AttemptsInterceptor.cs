using Discovery.AspNetCore.Calls;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client.Configuration;

namespace Discovery.AspNetCore.Channels;

/// <summary>
/// Has the attempts of each call that the service config of its channel retries or hedges know of each other. It must be the interceptor next to the channel: what
/// another one sends again is a call of its own.
/// </summary>
internal sealed class AttemptsInterceptor : Interceptor
{
    /// <summary>Whether the methods and services that the config names may be sent several times. "" for all.</summary>
    private readonly Dictionary<(string Service, string Method), bool> _named = [];

    public AttemptsInterceptor(ServiceConfig config)
    {
        foreach (var method in config.MethodConfigs)
        {
            foreach (var name in method.Names)
            {
                _named[(name.Service ?? "", name.Method ?? "")] = IsRepeated(method);
            }
        }
    }

    /// <summary>Whether a service config has gRPC send any call several times.</summary>
    public static bool IsFor(ServiceConfig? config) => config?.MethodConfigs.Any(IsRepeated) == true;

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(
        TRequest request, ClientInterceptorContext<TRequest, TResponse> context, BlockingUnaryCallContinuation<TRequest, TResponse> continuation)
    {
        using var flow = Begin(context);
        return continuation(request, context);
    }

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncUnaryCallContinuation<TRequest, TResponse> continuation)
    {
        AsyncUnaryCall<TResponse> call;
        using (Begin(context))
        {
            call = continuation(request, context);
        }

        return call;
    }

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncServerStreamingCallContinuation<TRequest, TResponse> continuation)
    {
        using var flow = Begin(context);
        return continuation(request, context);
    }

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        ClientInterceptorContext<TRequest, TResponse> context, AsyncClientStreamingCallContinuation<TRequest, TResponse> continuation)
    {
        AsyncClientStreamingCall<TRequest, TResponse> call;
        using (Begin(context))
        {
            call = continuation(context);
        }

        return call;
    }

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        ClientInterceptorContext<TRequest, TResponse> context, AsyncDuplexStreamingCallContinuation<TRequest, TResponse> continuation)
    {
        using var flow = Begin(context);
        return continuation(context);
    }

    private static bool IsRepeated(MethodConfig config) => config.RetryPolicy is not null || config.HedgingPolicy is not null;

    private GrpcCallFlow.Scope Begin<TRequest, TResponse>(in ClientInterceptorContext<TRequest, TResponse> context)
        where TRequest : class
        where TResponse : class
        => IsRepeated(context.Method.ServiceName, context.Method.Name) ? GrpcCallFlow.Begin(context.Method.FullName, context.Options.CancellationToken) : default;

    /// <summary>As the channel finds the config of a method: the most specific name decides.</summary>
    private bool IsRepeated(string service, string method)
        => (_named.TryGetValue((service, method), out var isRepeated)
                || _named.TryGetValue((service, ""), out isRepeated)
                || _named.TryGetValue(("", ""), out isRepeated))
            && isRepeated;
}
