using System.Globalization;
using System.Net;
using System.Net.Http.Headers;

namespace Discovery.Etcd.Transport;

/// <summary>Reads gRPC's outcome from HTTP responses.</summary>
internal static class GrpcStatus
{
    public const string ContentType = "application/grpc";

    /// <summary>Checks the head of a response: that it is gRPC, and no error already.</summary>
    public static void CheckHead(HttpResponseMessage response)
    {
        var type = response.Content.Headers.ContentType?.MediaType;
        if (response.StatusCode != HttpStatusCode.OK || type is null || !type.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase))
        {
            throw new GrpcException(
                CodeOf(response.StatusCode),
                $"the answer is HTTP {(int)response.StatusCode} with content type '{type ?? "none"}', not gRPC: something else than etcd, such as a proxy, listens there",
                GrpcFailureKind.Malformed);
        }

        // An error without a message comes with its status among the headers ("trailers only").
        if (Find(response.Headers) is { } status)
        {
            ThrowUnlessOk(status, response.Headers);
        }
    }

    /// <summary>Checks how a response ended, after its body was read.</summary>
    public static void CheckTail(HttpResponseMessage response)
    {
        if (Find(response.TrailingHeaders) is { } status)
        {
            ThrowUnlessOk(status, response.TrailingHeaders);
        }
        else if (Find(response.Headers) is null)
        {
            throw GrpcException.Malformed("the answer ended without grpc-status");
        }
    }

    private static string? Find(HttpHeaders headers) =>
        headers.TryGetValues("grpc-status", out var values) ? values.FirstOrDefault() : null;

    private static void ThrowUnlessOk(string status, HttpHeaders headers)
    {
        if (!int.TryParse(status, NumberStyles.None, CultureInfo.InvariantCulture, out var code))
        {
            throw GrpcException.Malformed($"grpc-status is '{status}', not a number");
        }

        if (code != (int)EtcdStatusCode.Ok)
        {
            var known = code <= (int)EtcdStatusCode.Unauthenticated ? (EtcdStatusCode)code : EtcdStatusCode.Unknown;
            var message = headers.TryGetValues("grpc-message", out var values) ? values.FirstOrDefault() : null;
            throw new GrpcException(known, message is null ? $"status {code} without a message" : Uri.UnescapeDataString(message), GrpcFailureKind.Status);
        }
    }

    // What gRPC's HTTP mapping prescribes for answers of gateways and proxies.
    private static EtcdStatusCode CodeOf(HttpStatusCode status) => status switch
    {
        HttpStatusCode.BadRequest => EtcdStatusCode.Internal,
        HttpStatusCode.Unauthorized => EtcdStatusCode.Unauthenticated,
        HttpStatusCode.Forbidden => EtcdStatusCode.PermissionDenied,
        HttpStatusCode.NotFound => EtcdStatusCode.Unimplemented,
        HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout => EtcdStatusCode.Unavailable,
        _ => EtcdStatusCode.Unknown,
    };
}
