using System.Globalization;
using Grpc.Core;
using Grpc.Protocol;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Grpc.AspNetCore.Server.Calls;

/// <summary>Writes the status and trailers of a call: into the headers while no message has gone out, into the trailers after.</summary>
internal static class ResponseStatus
{
    public static void Write(HttpResponse response, Status status, Metadata? trailers = null)
    {
        var destination = response.HasStarted ? Trailers(response) : response.Headers;
        foreach (var entry in trailers ?? Metadata.Empty)
        {
            try
            {
                destination.Append(entry.Key, GrpcHeaders.Format(entry));
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"Error adding response trailer '{entry.Key}'.", exception);
            }
        }

        destination[GrpcHeaders.Status] = ((int)status.StatusCode).ToString(CultureInfo.InvariantCulture);
        destination[GrpcHeaders.Message] = string.IsNullOrEmpty(status.Detail) ? default : PercentEncoding.Encode(status.Detail);
    }

    /// <summary>Refuses a request that is not gRPC, so that HTTP clients understand it too.</summary>
    public static Task RefuseAsync(HttpResponse response, int httpStatus, string detail)
    {
        response.StatusCode = httpStatus;
        Write(response, new Status(StatusCode.Internal, detail));
        return Task.CompletedTask;
    }

    private static IHeaderDictionary Trailers(HttpResponse response)
        => response.HttpContext.Features.Get<IHttpResponseTrailersFeature>()?.Trailers is { IsReadOnly: false } trailers
            ? trailers
            : throw new InvalidOperationException("Trailers are not supported for this response. The server may not support gRPC.");
}
