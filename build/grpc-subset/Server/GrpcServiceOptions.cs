namespace Grpc.AspNetCore.Server;

/// <summary>Options of all gRPC services of an application.</summary>
public class GrpcServiceOptions
{
    private int? _maxReceiveMessageSize;

    /// <summary>The largest message to send, in bytes; null, the default, is no limit.</summary>
    public int? MaxSendMessageSize { get; set; }

    /// <summary>
    /// The largest message to receive, in bytes; null is no limit. Where nobody sets it, <c>AddGrpc</c> makes it 4 MB, as gRPC has it everywhere.
    /// </summary>
    public int? MaxReceiveMessageSize
    {
        get => _maxReceiveMessageSize;
        set
        {
            _maxReceiveMessageSize = value;
            HasMaxReceiveMessageSize = true;
        }
    }

    /// <summary>Whether clients get the text of a handler's exceptions; they do not by default.</summary>
    public bool? EnableDetailedErrors { get; set; }

    /// <summary>Whether somebody chose the limit, perhaps none.</summary>
    internal bool HasMaxReceiveMessageSize { get; private set; }
}
