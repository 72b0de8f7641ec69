using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace Discovery.Etcd.Tests.Tls;

/// <summary>A certificate of etcd's that does not fit: the error says what is wrong with it, and what to do.</summary>
public sealed class WrongCertificateTests
{
    [Theory]
    [InlineData(true, "The certificate there has expired, or is not valid yet")]
    [InlineData(false, "The certificate there bears another name")]
    public async Task What_is_wrong_with_a_certificate_is_said_and_nothing_else(bool isExpired, string expected)
    {
        using var authority = new TestCertificates("authority");
        using var certificate = authority.Issue("etcd.test", withLoopback: isExpired, until: isExpired ? DateTimeOffset.UtcNow.AddMinutes(-1) : null);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var handshakes = 0;
        var serving = Task.Run(async () =>
        {
            while (true)
            {
                using var connection = await listener.AcceptTcpClientAsync();
                await using var tls = new SslStream(connection.GetStream());
                await Record.ExceptionAsync(() => tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                {
                    ServerCertificate = certificate, ApplicationProtocols = [SslApplicationProtocol.Http2],
                }));
                Interlocked.Increment(ref handshakes);
            }
        });
        var clock = new FakeTimeProvider();
        await using var client = new EtcdClient(
            new EtcdClientOptions
            {
                Endpoints = [$"https://{listener.LocalEndpoint}"],
                Tls = new EtcdTlsOptions { CaFile = authority.CaFile },
                AttemptTimeout = TimeSpan.FromHours(1),
                RequestTimeout = TimeSpan.FromHours(1),
            },
            timeProvider: clock);

        var call = client.GetAsync("a");
        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            return Volatile.Read(ref handshakes) >= 3;
        });
        clock.Advance(TimeSpan.FromHours(1));
        var error = await Assert.ThrowsAsync<EtcdException>(() => call);

        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("CaFile", error.Message, StringComparison.Ordinal);
        listener.Stop();
        await Assert.ThrowsAnyAsync<Exception>(() => serving);
    }
}
