namespace Discovery.AspNetCore.Connections;

/// <summary>
/// No connection to an instance came about, so nothing of the call was sent. Only this, thrown by the instance's own transport, moves a
/// call to another instance: an exception of a public type may come out of the request's body, which then was sent in part.
/// </summary>
/// <param name="transport">Whose connection it was.</param>
/// <param name="message">Names the address and the reason.</param>
/// <param name="cause">What happened, if something was thrown.</param>
internal sealed class InstanceConnectException(InstanceTransport transport, string message, Exception? cause)
    : IOException(message, cause)
{
    public InstanceTransport Transport => transport;

    /// <summary>Whether this machine had no port or handle left, which says nothing of the instance.</summary>
    public bool IsLocal { get; init; }

    /// <summary>Whether nothing was dialled for this call, nor did it wait for a connect: another had timed out before.</summary>
    public bool IsFailFast { get; init; }
}
