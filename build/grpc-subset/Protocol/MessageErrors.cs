using Grpc.Core;

namespace Grpc.Protocol;

/// <summary>Statuses for messages that break a rule; the texts are the official ones, for users search for them.</summary>
internal static class MessageErrors
{
    public static readonly Status ReceivedTooLarge
        = new(StatusCode.ResourceExhausted, "Received message exceeds the maximum configured message size.");

    public static readonly Status SentTooLarge
        = new(StatusCode.ResourceExhausted, "Sending message exceeds the maximum configured message size.");

    /// <summary>The status for a compressed message that came with this <c>grpc-encoding</c>.</summary>
    public static Status Compressed(string? encoding) => encoding switch
    {
        null => new(StatusCode.Internal, "Request did not include grpc-encoding value with compressed message."),
        GrpcHeaders.Identity => new(StatusCode.Internal, "Request sent 'identity' grpc-encoding value with compressed message."),
        _ => new(StatusCode.Unimplemented, $"Unsupported grpc-encoding value '{encoding}'. Supported encodings: {GrpcHeaders.Identity}"),
    };

    /// <summary>Names an exception and all inside it, for a status carries no stack.</summary>
    public static string Describe(Exception exception)
    {
        var text = $"{exception.GetType().Name}: {exception.Message}";
        return exception.InnerException is null ? text : $"{text} {Describe(exception.InnerException)}";
    }
}
