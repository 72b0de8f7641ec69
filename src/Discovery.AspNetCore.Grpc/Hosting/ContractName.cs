using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Grpc.Core;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// Finds the contract of a generated client by having it make a call that goes nowhere: the call names the service as the .proto does. The
/// fields with the name are private, and lie in the class around the client, where trimming removes them.
/// </summary>
internal static class ContractName
{
    /// <summary>The full name of the service in its .proto, e.g. <c>helloworld.Greeter</c>.</summary>
    /// <exception cref="ArgumentException">The type is no client that the gRPC plugin generated, or its service has no method.</exception>
    public static string Of<
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors | DynamicallyAccessedMemberTypes.PublicMethods)] TClient>()
    {
        var recorder = new Recorder();
        if (!typeof(TClient).IsAbstract && typeof(TClient).GetConstructor([typeof(CallInvoker)]) is { } constructor)
        {
            var client = constructor.Invoke([recorder]);
            foreach (var method in typeof(TClient).GetMethods(BindingFlags.Instance | BindingFlags.Public))
            {
                if (recorder.ServiceName is null && method.IsVirtual
                    && method.GetParameters() is { Length: 1 or 2 } parameters && parameters[^1].ParameterType == typeof(CallOptions))
                {
                    Call(method, client, parameters.Length == 1 ? [default(CallOptions)] : [null, default(CallOptions)]);
                }
            }
        }

        return recorder.ServiceName ?? throw new ArgumentException(
            $"The contract of {typeof(TClient)} is not known: it is no client that the gRPC plugin generated from a .proto, or its service has no "
            + $"method. Name the service: AddEtcdGrpcClient<{typeof(TClient).Name}>(\"greeter\").");
    }

    private static void Call(MethodInfo method, object client, object?[] arguments)
    {
        try
        {
            method.Invoke(client, arguments);
        }
        catch (TargetInvocationException)
        {
            // The class is partial, and may have methods of the application's own, which expect an answer.
        }
    }

    /// <summary>Keeps the name of the service that a call is for. Generated clients hand on what they get, and so null.</summary>
    private sealed class Recorder : CallInvoker
    {
        public string? ServiceName { get; private set; }

        public override TResponse BlockingUnaryCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
            => Record<TResponse>(method);

        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
            => Record<AsyncUnaryCall<TResponse>>(method);

        public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
            => Record<AsyncServerStreamingCall<TResponse>>(method);

        public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options)
            => Record<AsyncClientStreamingCall<TRequest, TResponse>>(method);

        public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options)
            => Record<AsyncDuplexStreamingCall<TRequest, TResponse>>(method);

        private T Record<T>(IMethod method)
            where T : class
        {
            ServiceName = method.ServiceName;
            return null!;
        }
    }
}
