namespace Grpc.Core;

/// <summary>How a call ended.</summary>
public struct Status
{
    /// <summary>Creates a status.</summary>
    public Status(StatusCode statusCode, string detail)
        : this(statusCode, detail, debugException: null)
    {
    }

    /// <summary>Creates a status with the exception behind it, which is never sent over the wire.</summary>
    public Status(StatusCode statusCode, string detail, Exception? debugException)
    {
        StatusCode = statusCode;
        Detail = detail;
        DebugException = debugException;
    }

    /// <summary>Success without a detail.</summary>
    public static readonly Status DefaultSuccess = new(StatusCode.OK, "");

    /// <summary>The code.</summary>
    public StatusCode StatusCode { get; }

    /// <summary>What went wrong, in words.</summary>
    public string Detail { get; }

    /// <summary>The exception behind the status, where one is known locally.</summary>
    public Exception? DebugException { get; }

    /// <inheritdoc/>
    public override readonly string ToString()
        => DebugException is null
            ? $"Status(StatusCode=\"{StatusCode}\", Detail=\"{Detail}\")"
            : $"Status(StatusCode=\"{StatusCode}\", Detail=\"{Detail}\", DebugException=\"{DebugException.GetType()}: {DebugException.Message}\")";
}
