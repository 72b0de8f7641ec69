using System.Globalization;
using System.Net;
using System.Net.Http.Headers;

namespace Discovery.Etcd.Transport;

/// <summary>Builds the HTTP/2 request of a call.</summary>
internal static class GrpcRequest
{
    private static readonly MediaTypeHeaderValue ContentType = new(GrpcStatus.ContentType);

    public static HttpRequestMessage Create(Uri address, string path, HttpContent content, GrpcMetadata metadata)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(address, path))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        content.Headers.ContentType = ContentType;
        request.Headers.TryAddWithoutValidation("te", "trailers");
        request.Headers.TryAddWithoutValidation("user-agent", "discovery-etcd");
        if (metadata.Token is { } token)
        {
            request.Headers.TryAddWithoutValidation("token", token);
        }

        if (metadata.RequireLeader)
        {
            request.Headers.TryAddWithoutValidation("hasleader", "true");
        }

        if (metadata.Timeout is { } timeout)
        {
            request.Headers.TryAddWithoutValidation("grpc-timeout", Format(timeout));
        }

        return request;
    }

    // At most eight digits are allowed, so long limits are told in seconds.
    private static string Format(TimeSpan timeout)
    {
        var milliseconds = Math.Max(1, (long)timeout.TotalMilliseconds);
        return milliseconds <= 99_999_999
            ? milliseconds.ToString(CultureInfo.InvariantCulture) + "m"
            : Math.Min(99_999_999, milliseconds / 1000).ToString(CultureInfo.InvariantCulture) + "S";
    }
}
