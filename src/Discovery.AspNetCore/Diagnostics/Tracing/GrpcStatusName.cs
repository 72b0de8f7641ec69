using System.Globalization;
using System.Net.Http.Headers;

namespace Discovery.AspNetCore.Diagnostics.Tracing;

/// <summary>What headers say of a gRPC call that ended with them, in gRPC's own words.</summary>
internal static class GrpcStatusName
{
    private const int LongestMessage = 200;

    private static readonly string[] Names =
    [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    ];

    /// <summary>The name of the status; <see langword="null"/> without one.</summary>
    public static string? Of(HttpResponseHeaders headers)
        => !headers.NonValidated.TryGetValues("grpc-status", out var status) ? null
            : int.TryParse(status.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var code) && code < Names.Length ? Names[code]
            : "UNKNOWN";

    /// <summary>What the server says of it, cut; <see langword="null"/> if nothing.</summary>
    public static string? MessageOf(HttpResponseHeaders headers)
    {
        if (!headers.NonValidated.TryGetValues("grpc-message", out var encoded) || Uri.UnescapeDataString(encoded.ToString()) is not { Length: > 0 } message)
        {
            return null;
        }

        return message.Length > LongestMessage ? message[..LongestMessage] : message;
    }
}
