using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Grpc.AspNetCore.Server.Calls;
using Grpc.Core;
using Grpc.Protocol;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Grpc.AspNetCore.Server.Binding;

/// <summary>Maps the endpoints of a service.</summary>
internal static partial class ServiceMapper
{
    private const string LoggerName = "Grpc.AspNetCore.Server.Model.Internal.ServiceRouteBuilder";

    public static List<IEndpointConventionBuilder> Map<[DynamicallyAccessedMembers(ServiceMembers.Needed)] TService>(
        IEndpointRouteBuilder routes, MappedServices mapped)
        where TService : class
    {
        var endpoints = new List<IEndpointConventionBuilder>();
        if (mapped.IsEmpty)
        {
            endpoints.Add(MapUnimplemented(routes, "{unimplementedService}", "Unimplemented service", "Service is unimplemented."));
        }

        if (FindBindMethod(typeof(TService)) is not var (bind, serviceBase))
        {
            Log.NoMethods(routes.ServiceProvider.GetRequiredService<ILoggerFactory>().CreateLogger(LoggerName), typeof(TService));
            return endpoints;
        }

        var binder = new ServiceBinder<TService>(routes, serviceBase);
        bind.Invoke(null, [binder, null]);
        endpoints.AddRange(binder.Endpoints);
        endpoints.AddRange(binder.ServiceNames.Where(mapped.Add).Select(
            name => MapUnimplemented(routes, name, $"Unimplemented method for {name}", "Method is unimplemented.")));
        return endpoints;
    }

    // The attribute is on the generated base, which may lie several types up. The official packages take other types too, and serve nothing.
    private static (MethodInfo Bind, Type ServiceBase)? FindBindMethod(Type service)
    {
        for (var type = service; type is not null; type = type.BaseType)
        {
            if (type.GetCustomAttribute<BindServiceMethodAttribute>(inherit: false) is { } attribute
                && attribute.BindType.GetMethod(attribute.BindMethodName, [typeof(ServiceBinderBase), type]) is { } method)
            {
                return (method, type);
            }
        }

        return null;
    }

    private static IEndpointConventionBuilder MapUnimplemented(IEndpointRouteBuilder routes, string service, string name, string detail)
    {
        var endpoint = routes.Map(
            $"{service}/{{unimplementedMethod:{GrpcRequestConstraint.Name}}}",
            (HttpContext context) =>
            {
                context.Response.ContentType = GrpcHeaders.ContentType;
                ResponseStatus.Write(context.Response, new Status(StatusCode.Unimplemented, detail));
                return Task.CompletedTask;
            });
        endpoint.Add(builder => builder.DisplayName = $"gRPC - {name}");
        return endpoint;
    }

    private static partial class Log
    {
        [LoggerMessage(3, LogLevel.Debug, "{Service} has no gRPC methods: derive it from a base class that Grpc.Tools generates, such as Greeter.GreeterBase.")]
        public static partial void NoMethods(ILogger logger, Type service);
    }
}
