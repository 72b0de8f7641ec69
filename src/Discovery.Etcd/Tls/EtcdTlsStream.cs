using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;

namespace Discovery.Etcd.Tls;

/// <summary>
/// TLS whose refusal by the peer can be told from a broken connection. In TLS 1.3 the client's handshake is over before the server has looked at its
/// certificate: a missing one is refused with the first read, and the HTTP stack, which closes the stream of it, reports that it was disposed.
/// </summary>
internal sealed class EtcdTlsStream(Stream network) : SslStream(network)
{
    private bool _hasRead;
    private volatile AuthenticationException? _refusal;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            var read = await base.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            _hasRead = true;
            return read;
        }
        catch (IOException e) when (!_hasRead && e.InnerException is not (null or IOException or SocketException or ObjectDisposedException))
        {
            _refusal = new AuthenticationException($"the server broke off after the handshake: {e.GetBaseException().Message}");
            throw Refused(_refusal);
        }
        catch (Exception) when (_refusal is { } refusal)
        {
            throw Refused(refusal);
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            await base.WriteAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception) when (_refusal is { } refusal)
        {
            throw Refused(refusal);
        }
    }

    private static IOException Refused(AuthenticationException refusal) => new("The server refused the connection.", refusal);
}
