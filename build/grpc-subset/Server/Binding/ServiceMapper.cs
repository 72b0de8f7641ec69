using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Grpc.AspNetCore.Server.Calls;
using Grpc.Core;
using Grpc.Protocol;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Grpc.AspNetCore.Server.Binding;

/// <summary>Maps the endpoints of a service.</summary>
internal static class ServiceMapper
{
    public static List<IEndpointConventionBuilder> Map<[DynamicallyAccessedMembers(ServiceMembers.Needed)] TService>(
        IEndpointRouteBuilder routes, MappedServices mapped)
        where TService : class
    {
        var endpoints = new List<IEndpointConventionBuilder>();
        if (mapped.IsEmpty)
        {
            endpoints.Add(MapUnimplemented(routes, "{unimplementedService}", "Service is unimplemented."));
        }

        var (bind, serviceBase) = FindBindMethod(typeof(TService));
        var binder = new ServiceBinder<TService>(routes, serviceBase);
        bind.Invoke(null, [binder, null]);
        endpoints.AddRange(binder.Endpoints);
        endpoints.AddRange(binder.ServiceNames.Where(mapped.Add).Select(name => MapUnimplemented(routes, name, "Method is unimplemented.")));
        return endpoints;
    }

    // The attribute is on the generated base, which may lie several types up.
    private static (MethodInfo Bind, Type ServiceBase) FindBindMethod(Type service)
    {
        for (var type = service; type is not null; type = type.BaseType)
        {
            if (type.GetCustomAttribute<BindServiceMethodAttribute>(inherit: false) is { } attribute
                && attribute.BindType.GetMethod(attribute.BindMethodName, [typeof(ServiceBinderBase), type]) is { } method)
            {
                return (method, type);
            }
        }

        throw new InvalidOperationException(
            $"{service} is no gRPC service: derive it from the base class that Grpc.Tools generates, such as Greeter.GreeterBase.");
    }

    private static IEndpointConventionBuilder MapUnimplemented(IEndpointRouteBuilder routes, string service, string detail)
    {
        var endpoint = routes.Map(
            $"{service}/{{unimplementedMethod:{GrpcRequestConstraint.Name}}}",
            (HttpContext context) =>
            {
                context.Response.ContentType = GrpcHeaders.ContentType;
                ResponseStatus.Write(context.Response, new Status(StatusCode.Unimplemented, detail));
                return Task.CompletedTask;
            });
        endpoint.Add(builder => builder.DisplayName = $"gRPC - {service}: {detail}");
        return endpoint;
    }
}
