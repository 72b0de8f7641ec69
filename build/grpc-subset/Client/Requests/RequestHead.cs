using System.Net;
using System.Runtime.InteropServices;
using Grpc.Core;
using Grpc.Protocol;

namespace Grpc.Net.Client.Requests;

/// <summary>Builds the request of a call, all but its body.</summary>
internal static class RequestHead
{
    private static readonly string UserAgent
        = $"grpc-dotnet/{typeof(RequestHead).Assembly.GetName().Version?.ToString(3)} (subset; {RuntimeInformation.FrameworkDescription})";

    public static HttpRequestMessage Create(Uri uri, Metadata? metadata, TimeSpan? timeout)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, uri)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.TryAddWithoutValidation("User-Agent", UserAgent);

        // Servers take its absence for a proxy in between that would lose the trailers.
        request.Headers.TryAddWithoutValidation("TE", "trailers");
        request.Headers.TryAddWithoutValidation(GrpcHeaders.AcceptEncoding, GrpcHeaders.Identity);
        foreach (var entry in metadata ?? Metadata.Empty)
        {
            // The deadline of the call options decides.
            if (entry.Key != GrpcHeaders.Timeout)
            {
                request.Headers.TryAddWithoutValidation(entry.Key, GrpcHeaders.Format(entry));
            }
        }

        if (timeout is not null)
        {
            request.Headers.TryAddWithoutValidation(GrpcHeaders.Timeout, GrpcTimeout.Format(timeout.Value));
        }

        return request;
    }
}
