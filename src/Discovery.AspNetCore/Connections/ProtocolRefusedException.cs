using System.Net.Security;
using System.Security.Authentication;

namespace Discovery.AspNetCore.Connections;

/// <summary>The peer speaks none of the protocols that were offered to it over TLS.</summary>
internal sealed class ProtocolRefusedException(IReadOnlyList<SslApplicationProtocol> offered, Exception cause)
    : AuthenticationException($"TLS failed; the server speaks no {string.Join(" or ", offered.Select(NameOf))} at this address: {cause.Message}", cause)
{
    /// <summary>The protocols that were offered.</summary>
    public InstanceProtocols Offered { get; } =
        (offered.Contains(SslApplicationProtocol.Http11) ? InstanceProtocols.Http1 : InstanceProtocols.Unspecified)
        | (offered.Contains(SslApplicationProtocol.Http2) ? InstanceProtocols.Http2 : InstanceProtocols.Unspecified);

    private static string NameOf(SslApplicationProtocol protocol) => protocol == SslApplicationProtocol.Http2 ? "HTTP/2" : "HTTP/1.1";
}
