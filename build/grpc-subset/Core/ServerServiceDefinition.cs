namespace Grpc.Core;

/// <summary>
/// A service bound to an instance. Generated code builds it and nothing here serves it, so the methods are not kept:
/// map services by type with <c>MapGrpcService&lt;T&gt;()</c>.
/// </summary>
public class ServerServiceDefinition
{
    internal ServerServiceDefinition()
    {
    }

    /// <summary>Creates a builder.</summary>
    public static Builder CreateBuilder() => new();

    /// <summary>Takes the methods of a service.</summary>
    public class Builder
    {
        /// <summary>Adds a method.</summary>
        public Builder AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse> handler)
            where TRequest : class
            where TResponse : class
            => this;

        /// <summary>Adds a method.</summary>
        public Builder AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse> handler)
            where TRequest : class
            where TResponse : class
            => this;

        /// <summary>Adds a method.</summary>
        public Builder AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse> handler)
            where TRequest : class
            where TResponse : class
            => this;

        /// <summary>Adds a method.</summary>
        public Builder AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse> handler)
            where TRequest : class
            where TResponse : class
            => this;

        /// <summary>Ends building.</summary>
        public ServerServiceDefinition Build() => new();
    }
}
