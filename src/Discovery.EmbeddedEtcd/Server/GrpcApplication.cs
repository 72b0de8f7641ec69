using Discovery.Etcd;
using Grpc.Core;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>Turns Kestrel's requests into calls of methods and their outcome into a gRPC status.</summary>
internal sealed partial class GrpcApplication(MethodTable methods, FaultPlan faults, ILogger logger, CancellationToken stopping)
    : IHttpApplication<IFeatureCollection>
{
    public IFeatureCollection CreateContext(IFeatureCollection contextFeatures) => contextFeatures;

    public void DisposeContext(IFeatureCollection context, Exception? exception)
    {
    }

    public async Task ProcessRequestAsync(IFeatureCollection context)
    {
        var request = context.GetRequiredFeature<IHttpRequestFeature>();
        if (request.Headers.ContentType is not [{ } type, ..] || !type.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase))
        {
            context.GetRequiredFeature<IHttpResponseFeature>().StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return;
        }

        var call = new GrpcCall(context);
        try
        {
            if (faults.Take(request.Path) is { } fault)
            {
                throw fault;
            }

            await methods.InvokeAsync(request.Path, call, stopping);
            call.End(StatusCode.OK);
        }
        catch (RpcException e)
        {
            call.End(e.Status, e.Message);
        }
        catch (Exception) when (call.Aborted.IsCancellationRequested)
        {
            // The client is gone, whatever it made of the call: there is nobody to tell.
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            var stopped = EtcdErrors.Stopped();
            call.End(stopped.Status, stopped.Message);
        }
        catch (Exception e)
        {
            Log.CallFailed(logger, e, request.Path);
            call.End(StatusCode.Internal, $"the embedded etcd failed: {e.Message}");
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "The embedded etcd failed in {Method}: a defect, please report it")]
        public static partial void CallFailed(ILogger logger, Exception exception, string method);
    }
}
