namespace Discovery.AspNetCore.Connections;

/// <summary>
/// The peer refused a request before all of it was sent, and closed the connection: what servers do with a body that is too large. The answer can no
/// longer be had from <see cref="SocketsHttpHandler"/>, which gives up at the write that fails.
/// </summary>
internal sealed class EarlyRefusalException(string status, Exception cause)
    : IOException($"The instance answered {status} and closed the connection before all of the request was sent.", cause);
