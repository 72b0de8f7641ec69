namespace Grpc.Protocol;

/// <summary>Header names and values that both sides use.</summary>
internal static class GrpcHeaders
{
    public const string ContentType = "application/grpc";
    public const string Status = "grpc-status";
    public const string Message = "grpc-message";
    public const string Timeout = "grpc-timeout";
    public const string Encoding = "grpc-encoding";
    public const string AcceptEncoding = "grpc-accept-encoding";

    /// <summary>The only encoding that this assembly knows.</summary>
    public const string Identity = "identity";

    /// <summary>True for <c>application/grpc</c> with or without a suffix such as <c>+proto</c> or parameters.</summary>
    public static bool IsGrpc(string? contentType)
        => contentType is not null
            && contentType.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase)
            && (contentType.Length == ContentType.Length || contentType[ContentType.Length] is ';' or '+');

    /// <summary>Reads the value of a <c>-bin</c> header, whose base64 may come without padding.</summary>
    public static byte[] ParseBinary(string base64)
    {
        var padding = (4 - (base64.Length % 4)) % 4;
        return Convert.FromBase64String(base64.PadRight(base64.Length + padding, '='));
    }

    /// <summary>The value of a metadata entry as it goes over the wire.</summary>
    public static string Format(Core.Metadata.Entry entry) => entry.IsBinary ? Convert.ToBase64String(entry.ValueBytes) : entry.Value;
}
