using Grpc.AspNetCore.Server.Binding;
using Grpc.AspNetCore.Server.Messages;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Grpc.AspNetCore.Server.Calls;

internal sealed class UnaryHandler<TService, TRequest, TResponse>(
    Method<TRequest, TResponse> method,
    Func<TService, TRequest, ServerCallContext, Task<TResponse>> handle,
    ServiceActivator<TService> activator,
    GrpcServiceOptions options,
    ILogger logger)
    : CallHandler<TService, TRequest, TResponse>(method, activator, options, logger)
    where TService : class
    where TRequest : class
    where TResponse : class
{
    protected override async Task InvokeAsync(ServerCall call)
    {
        var request = await Requests(call).ReadSingleAsync();
        TResponse response;
        await using (var service = GetService(call))
        {
            response = await handle(service.Instance, request, call);
        }

        await RespondAsync(call, response);
    }
}

internal sealed class ClientStreamingHandler<TService, TRequest, TResponse>(
    Method<TRequest, TResponse> method,
    Func<TService, IAsyncStreamReader<TRequest>, ServerCallContext, Task<TResponse>> handle,
    ServiceActivator<TService> activator,
    GrpcServiceOptions options,
    ILogger logger)
    : CallHandler<TService, TRequest, TResponse>(method, activator, options, logger)
    where TService : class
    where TRequest : class
    where TResponse : class
{
    protected override async Task InvokeAsync(ServerCall call)
    {
        AllowLongRequest(call.HttpContext);
        AllowLongCall(call.HttpContext);
        TResponse response;
        using (var requests = new RequestStream<TRequest>(call, Requests(call)))
        {
            await using var service = GetService(call);
            response = await handle(service.Instance, requests, call);
        }

        await RespondAsync(call, response);
    }
}

internal sealed class ServerStreamingHandler<TService, TRequest, TResponse>(
    Method<TRequest, TResponse> method,
    Func<TService, TRequest, IServerStreamWriter<TResponse>, ServerCallContext, Task> handle,
    ServiceActivator<TService> activator,
    GrpcServiceOptions options,
    ILogger logger)
    : CallHandler<TService, TRequest, TResponse>(method, activator, options, logger)
    where TService : class
    where TRequest : class
    where TResponse : class
{
    protected override async Task InvokeAsync(ServerCall call)
    {
        AllowLongCall(call.HttpContext);
        var request = await Requests(call).ReadSingleAsync();
        using var responses = new ResponseStream<TResponse>(call, Responses(call));
        await using var service = GetService(call);
        await handle(service.Instance, request, responses, call);
    }
}

internal sealed class DuplexHandler<TService, TRequest, TResponse>(
    Method<TRequest, TResponse> method,
    Func<TService, IAsyncStreamReader<TRequest>, IServerStreamWriter<TResponse>, ServerCallContext, Task> handle,
    ServiceActivator<TService> activator,
    GrpcServiceOptions options,
    ILogger logger)
    : CallHandler<TService, TRequest, TResponse>(method, activator, options, logger)
    where TService : class
    where TRequest : class
    where TResponse : class
{
    protected override async Task InvokeAsync(ServerCall call)
    {
        AllowLongRequest(call.HttpContext);
        AllowLongCall(call.HttpContext);
        using var requests = new RequestStream<TRequest>(call, Requests(call));
        using var responses = new ResponseStream<TResponse>(call, Responses(call));
        await using var service = GetService(call);
        await handle(service.Instance, requests, responses, call);
    }
}
