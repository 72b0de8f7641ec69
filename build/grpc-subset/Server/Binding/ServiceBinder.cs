using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Grpc.AspNetCore.Server.Calls;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Grpc.AspNetCore.Server.Binding;

/// <summary>Maps each method of a service to an endpoint.</summary>
internal sealed class ServiceBinder<[DynamicallyAccessedMembers(ServiceMembers.Needed)] TService>(IEndpointRouteBuilder routes, Type serviceBase)
    : ServiceBinderBase
    where TService : class
{
    private readonly ServiceActivator<TService> _activator = new();
    private readonly GrpcServiceOptions _options = routes.ServiceProvider.GetRequiredService<IOptions<GrpcServiceOptions>>().Value;
    private readonly ILogger _logger
        = routes.ServiceProvider.GetRequiredService<ILoggerFactory>().CreateLogger("Grpc.AspNetCore.Server.ServerCallHandler");

    public List<IEndpointConventionBuilder> Endpoints { get; } = [];

    public HashSet<string> ServiceNames { get; } = new(StringComparer.Ordinal);

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler)
        => Map(
            method,
            Bind<Func<TService, TRequest, ServerCallContext, Task<TResponse>>>(method, typeof(TRequest), typeof(ServerCallContext)),
            (bound, logger) => new UnaryHandler<TService, TRequest, TResponse>(method, bound, _activator, _options, logger));

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse>? handler)
        => Map(
            method,
            Bind<Func<TService, IAsyncStreamReader<TRequest>, ServerCallContext, Task<TResponse>>>(
                method, typeof(IAsyncStreamReader<TRequest>), typeof(ServerCallContext)),
            (bound, logger) => new ClientStreamingHandler<TService, TRequest, TResponse>(method, bound, _activator, _options, logger));

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse>? handler)
        => Map(
            method,
            Bind<Func<TService, TRequest, IServerStreamWriter<TResponse>, ServerCallContext, Task>>(
                method, typeof(TRequest), typeof(IServerStreamWriter<TResponse>), typeof(ServerCallContext)),
            (bound, logger) => new ServerStreamingHandler<TService, TRequest, TResponse>(method, bound, _activator, _options, logger));

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse>? handler)
        => Map(
            method,
            Bind<Func<TService, IAsyncStreamReader<TRequest>, IServerStreamWriter<TResponse>, ServerCallContext, Task>>(
                method, typeof(IAsyncStreamReader<TRequest>), typeof(IServerStreamWriter<TResponse>), typeof(ServerCallContext)),
            (bound, logger) => new DuplexHandler<TService, TRequest, TResponse>(method, bound, _activator, _options, logger));

    private void Map<THandler>(
        IMethod method, (MethodInfo Method, THandler Handler) bound, Func<THandler, ILogger, CallHandler> create)
    {
        var endpoint = routes.Map(method.FullName, (RequestDelegate)create(bound.Handler, _logger).HandleAsync);
        endpoint.Add(builder =>
        {
            builder.DisplayName = $"gRPC - {method.FullName}";

            // Attributes of the method come last, and so count more than those of the type.
            foreach (var attribute in typeof(TService).GetCustomAttributes(inherit: true).Concat(bound.Method.GetCustomAttributes(inherit: true)))
            {
                builder.Metadata.Add(attribute);
            }

            builder.Metadata.Add(new HttpMethodMetadata([HttpMethods.Post], acceptCorsPreflight: true));
        });
        Endpoints.Add(endpoint);
        ServiceNames.Add(method.ServiceName);
    }

    // A method that hides the generated one under its name is not the handler: the one that overrides it is.
    private (MethodInfo Method, THandler Handler) Bind<THandler>(IMethod method, params Type[] parameters)
        where THandler : Delegate
    {
        for (var type = typeof(TService); type is not null; type = type.BaseType)
        {
            var found = Find(type, method.Name, parameters);
            if (found is { IsVirtual: true } && found.GetBaseDefinition().DeclaringType == serviceBase)
            {
                return (found, found.CreateDelegate<THandler>());
            }
        }

        throw new InvalidOperationException($"Could not find '{method.Name}' on {typeof(TService)}.");
    }

    private static MethodInfo? Find(
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicMethods)] Type type, string name, Type[] parameters)
        => type.GetMethod(name, BindingFlags.Public | BindingFlags.Instance, parameters);
}
