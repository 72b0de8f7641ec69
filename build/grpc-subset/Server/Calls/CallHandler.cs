using Grpc.AspNetCore.Server.Binding;
using Grpc.AspNetCore.Server.Messages;
using Grpc.Core;
using Grpc.Protocol;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;

namespace Grpc.AspNetCore.Server.Calls;

/// <summary>Handles the requests to one method.</summary>
internal abstract class CallHandler(GrpcServiceOptions options, ILogger logger)
{
    public Task HandleAsync(HttpContext httpContext)
    {
        var request = httpContext.Request;
        if (!GrpcHeaders.IsGrpc(request.ContentType))
        {
            if (HttpMethods.IsOptions(request.Method) && request.Headers.AccessControlRequestMethod.Count > 0)
            {
                // The CORS middleware, where there is one, has answered before.
                httpContext.Response.Headers.Allow = HttpMethods.Post;
                return ResponseStatus.RefuseAsync(
                    httpContext.Response,
                    StatusCodes.Status405MethodNotAllowed,
                    "Unhandled CORS preflight request received. CORS may not be configured correctly in the application.");
            }

            return ResponseStatus.RefuseAsync(
                httpContext.Response,
                StatusCodes.Status415UnsupportedMediaType,
                request.ContentType is null ? "Content-Type is missing from the request." : $"Content-Type '{request.ContentType}' is not supported.");
        }

        if (!HttpProtocol.IsHttp2(request.Protocol))
        {
            httpContext.Response.Headers.Upgrade = HttpProtocol.Http2;
            return ResponseStatus.RefuseAsync(
                httpContext.Response, StatusCodes.Status426UpgradeRequired, $"Request protocol '{request.Protocol}' is not supported.");
        }

        httpContext.Response.ContentType = GrpcHeaders.ContentType;
        return RunAsync(new ServerCall(httpContext, options, logger));
    }

    protected abstract Task InvokeAsync(ServerCall call);

    /// <summary>Lifts limits that are meant for requests of one piece.</summary>
    protected static void AllowLongRequest(HttpContext httpContext)
    {
        if (httpContext.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
        {
            rate.MinDataRate = null;
        }

        if (httpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = null;
        }
    }

    /// <summary>Lifts the time limit for all requests, unless the endpoint has one of its own.</summary>
    protected static void AllowLongCall(HttpContext httpContext)
    {
        var metadata = httpContext.GetEndpoint()?.Metadata;
        if (metadata?.GetMetadata<RequestTimeoutAttribute>() is null && metadata?.GetMetadata<RequestTimeoutPolicy>() is null)
        {
            httpContext.Features.Get<IHttpRequestTimeoutFeature>()?.DisableTimeout();
        }
    }

    private async Task RunAsync(ServerCall call)
    {
        try
        {
            await InvokeAsync(call);
        }
        catch (Exception exception)
        {
            // Whatever a handler throws becomes the status of its call.
            await call.EndAsync(exception);
            return;
        }

        await call.EndAsync();
    }
}

/// <summary>Handles the requests to one method with the types of its messages.</summary>
internal abstract class CallHandler<TService, TRequest, TResponse>(
    Method<TRequest, TResponse> method, ServiceActivator<TService> activator, GrpcServiceOptions options, ILogger logger)
    : CallHandler(options, logger)
    where TService : class
    where TRequest : class
    where TResponse : class
{
    protected ServiceLease<TService> GetService(ServerCall call) => activator.Get(call.HttpContext.RequestServices);

    protected RequestReader<TRequest> Requests(ServerCall call) => new(call, method.RequestMarshaller.ContextualDeserializer);

    protected ResponseWriter<TResponse> Responses(ServerCall call) => new(call, method.ResponseMarshaller.ContextualSerializer);

    /// <summary>Writes the only response.</summary>
    protected Task RespondAsync(ServerCall call, TResponse? response)
    {
        if (response is null)
        {
            throw new RpcException(new Status(StatusCode.Cancelled, "No message returned from method."));
        }

        return call.DeadlinePassed ? Task.CompletedTask : Responses(call).WriteAsync(response, flush: false, CancellationToken.None);
    }
}
