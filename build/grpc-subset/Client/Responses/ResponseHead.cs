using System.Net;
using System.Net.Http.Headers;
using Grpc.Core;
using Grpc.Protocol;

namespace Grpc.Net.Client.Responses;

/// <summary>Reads what a response says outside its messages: status, metadata, and whether it is gRPC at all.</summary>
internal static class ResponseHead
{
    /// <summary>Gets the status with which the call has ended already, or null where messages may follow.</summary>
    /// <param name="response">The response, its headers read.</param>
    /// <param name="trailers">The trailers, where they came in the headers.</param>
    public static Status? GetEarlyStatus(HttpResponseMessage response, out Metadata? trailers)
    {
        trailers = null;

        // A status from the service says more than the HTTP status of whatever passed it on.
        if (FindStatus(response.Headers) is { } status)
        {
            trailers = ToMetadata(response.Headers);
            return status;
        }

        if (response.Version < HttpVersion.Version20)
        {
            return new(StatusCode.Internal, $"Bad gRPC response. Response protocol downgraded to HTTP/{response.Version.ToString(2)}.");
        }

        if (response.StatusCode != HttpStatusCode.OK)
        {
            return new(ToStatusCode(response.StatusCode), $"Bad gRPC response. HTTP status code: {(int)response.StatusCode}");
        }

        return GetValue(response.Content.Headers, "Content-Type") switch
        {
            null => new(StatusCode.Cancelled, "Bad gRPC response. Response did not have a content-type header."),
            var type when !GrpcHeaders.IsGrpc(type) => new(StatusCode.Cancelled, $"Bad gRPC response. Invalid content-type value: {type}"),
            _ => null,
        };
    }

    /// <summary>Gets the status once the body has been read to its end.</summary>
    public static Status GetFinalStatus(HttpResponseMessage response)
    {
        try
        {
            return FindStatus(response.TrailingHeaders)
                ?? FindStatus(response.Headers)
                ?? new Status(StatusCode.Cancelled, "No grpc-status found on response.");
        }
        catch (InvalidOperationException malformed)
        {
            return new(StatusCode.Cancelled, malformed.Message, malformed);
        }
    }

    public static Metadata ToMetadata(HttpHeaders headers)
    {
        var metadata = new Metadata();
        foreach (var header in headers.NonValidated)
        {
            if (IsProtocol(header.Key))
            {
                continue;
            }

            foreach (var value in header.Value)
            {
                if (header.Key.EndsWith(Metadata.BinaryHeaderSuffix, StringComparison.OrdinalIgnoreCase))
                {
                    metadata.Add(header.Key, GrpcHeaders.ParseBinary(value));
                }
                else
                {
                    metadata.Add(header.Key, value);
                }
            }
        }

        return metadata;
    }

    /// <summary>Gets the value of a header that comes once, or null.</summary>
    /// <exception cref="InvalidOperationException">It came more often.</exception>
    public static string? GetValue(HttpHeaders headers, string name)
    {
        if (!headers.NonValidated.TryGetValues(name, out var values))
        {
            return null;
        }

        return values.Count == 1 ? values.ToString() : throw new InvalidOperationException($"Multiple {name} headers.");
    }

    /// <summary>Gets how the messages of a response are compressed.</summary>
    public static string GetEncoding(HttpResponseMessage response)
        => response.Headers.NonValidated.TryGetValues(GrpcHeaders.Encoding, out var values) ? values.First() : GrpcHeaders.Identity;

    private static Status? FindStatus(HttpHeaders headers)
    {
        if (GetValue(headers, GrpcHeaders.Status) is not { } code)
        {
            return null;
        }

        return int.TryParse(code, out var number)
            ? new Status((StatusCode)number, Uri.UnescapeDataString(GetValue(headers, GrpcHeaders.Message) ?? ""))
            : throw new InvalidOperationException($"Unexpected grpc-status value: {code}");
    }

    // What the protocol itself needs is no metadata of the application.
    private static bool IsProtocol(string name)
        => name.StartsWith(':')
            || Is(name, GrpcHeaders.Status) || Is(name, GrpcHeaders.Message)
            || Is(name, GrpcHeaders.Encoding) || Is(name, GrpcHeaders.AcceptEncoding)
            || Is(name, "content-encoding") || Is(name, "content-type");

    private static bool Is(string name, string other) => name.Equals(other, StringComparison.OrdinalIgnoreCase);

    // The table of gRPC's http-grpc-status-mapping.md.
    private static StatusCode ToStatusCode(HttpStatusCode status) => (int)status switch
    {
        400 or 431 or (>= 100 and < 200) => StatusCode.Internal,
        401 => StatusCode.Unauthenticated,
        403 => StatusCode.PermissionDenied,
        404 => StatusCode.Unimplemented,
        429 or 502 or 503 or 504 => StatusCode.Unavailable,
        _ => StatusCode.Unknown,
    };
}
