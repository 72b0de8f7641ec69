using System.Diagnostics;
using Discovery.EmbeddedEtcd.Contract;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>
/// The gRPC server between Kestrel and the services, with a service container of its own: nothing that the application configures
/// for its own gRPC services reaches it.
/// </summary>
internal sealed class GrpcPipeline : IHttpApplication<HttpContext>, IAsyncDisposable
{
    // Bounds the memory of a request. Within it the interceptor refuses what is too large, in etcd's own words.
    private const int MaxBufferedMessage = 32 * 1024 * 1024;

    private readonly ServiceProvider _provider;
    private readonly RequestDelegate _pipeline;

    public GrpcPipeline(IEnumerable<ServerServiceDefinition> services, CallInterceptor interceptor)
    {
        var container = new ServiceCollection();
        container.AddLogging();
        container.AddSingleton(new DiagnosticListener("Discovery.EmbeddedEtcd"));
        container.AddSingleton(interceptor);
        container.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = MaxBufferedMessage;
            grpc.IgnoreUnknownServices = true;
            grpc.Interceptors.Add<CallInterceptor>();
        });
        _provider = container.BuildServiceProvider();

        var application = new ApplicationBuilder(_provider);
        application.UseRouting();
        application.UseEndpoints(endpoints =>
        {
            foreach (var service in services)
            {
                endpoints.MapGrpcService(service);
            }
        });
        application.Run(AnswerUnknownMethodAsync);
        _pipeline = application.Build();
    }

    public HttpContext CreateContext(IFeatureCollection contextFeatures)
        => new DefaultHttpContext(contextFeatures) { RequestServices = _provider };

    public Task ProcessRequestAsync(HttpContext context) => _pipeline(context);

    public void DisposeContext(HttpContext context, Exception? exception)
    {
    }

    public ValueTask DisposeAsync() => _provider.DisposeAsync();

    private static Task AnswerUnknownMethodAsync(HttpContext context)
    {
        var isGrpc = context.Request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) == true;
        if (!isGrpc)
        {
            context.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return Task.CompletedTask;
        }

        // Clients decode the message as they do a URL, so the path may stay encoded.
        var error = ServerErrors.NotSupported(context.Request.Path.ToUriComponent().TrimStart('/')).Status;
        context.Response.ContentType = "application/grpc";
        context.Response.Headers.GrpcStatus = ((int)error.StatusCode).ToString(System.Globalization.CultureInfo.InvariantCulture);
        context.Response.Headers.GrpcMessage = error.Detail;
        return Task.CompletedTask;
    }
}
