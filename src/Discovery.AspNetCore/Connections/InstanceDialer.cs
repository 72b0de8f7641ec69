using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Connections;

/// <summary>
/// Opens connections to one instance, whatever the request's URI says, TLS included. All that can go wrong until a request can be sent
/// goes wrong here, and is thrown as <see cref="InstanceConnectException"/>.
/// </summary>
internal sealed partial class InstanceDialer(InstanceTransport transport, AddressFilter filter, TlsHandshake tls, TransportFactory factory)
{
    /// <summary>Long enough for all calls that waited for the connection that failed.</summary>
    private static readonly TimeSpan QueueTime = TimeSpan.FromMilliseconds(100);

    private readonly ServiceInstance _instance = transport.Instance;

    public async ValueTask<Stream> DialAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var connectTimeout = transport.ConnectTimeout;
        FailFastAfterTimeout(connectTimeout);
        using var limit = new CancellationTokenSource(connectTimeout);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var stream = factory.Metrics is { MeasuresConnects: true } metrics
                ? await MeasureAsync(context.InitialRequestMessage, metrics, limit.Token, either.Token).ConfigureAwait(false)
                : await ConnectAsync(context.InitialRequestMessage, either.Token).ConfigureAwait(false);
            transport.OnConnected(stream);
            return stream;
        }
        catch (OperationCanceledException e) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            transport.OnTimedOut();
            throw Failed($"no connection within {connectTimeout.TotalSeconds:0.###} s (Etcd:Discovery:ConnectTimeout)", e);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw Failed(e.Message, e);
        }
    }

    /// <summary>
    /// Fails fast for one connect timeout after a timeout. <see cref="SocketsHttpHandler"/> queues HTTP/2 calls behind one connect and
    /// would start another connect for each of them in turn. A call that did not wait for it, and finds no other instance, comes again.
    /// </summary>
    private void FailFastAfterTimeout(TimeSpan connectTimeout)
    {
        if (transport.GetTimeSinceTimeout() is { } elapsed && elapsed < connectTimeout)
        {
            throw Failed(
                $"no connection within {connectTimeout.TotalSeconds:0.###} s just before (Etcd:Discovery:ConnectTimeout)", cause: null, isFailFast: elapsed >= QueueTime);
        }
    }

    private async Task<Stream> MeasureAsync(
        HttpRequestMessage request, ServiceMetrics metrics, CancellationToken limit, CancellationToken cancellationToken)
    {
        var startedAt = factory.Time.GetTimestamp();
        string? error = null;
        try
        {
            return await ConnectAsync(request, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            error = e is OperationCanceledException && !limit.IsCancellationRequested ? "cancelled" : ConnectErrors.TypeOf(e);
            throw;
        }
        finally
        {
            metrics.OnConnectEnded(error, factory.Time.GetElapsedTime(startedAt));
        }
    }

    private async Task<Stream> ConnectAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var addresses = await factory.Resolver.ResolveAsync(_instance.LookupName, cancellationToken).ConfigureAwait(false);
        var allowed = Array.FindAll(addresses, filter.Allows);
        if (allowed.Length == 0)
        {
            throw new IOException($"no address of '{_instance.Host}' may be dialled (Etcd:Discovery:AllowedNetworks, AllowLoopback)");
        }

        var socket = await AddressRace.ConnectAsync(allowed, _instance.Port, cancellationToken).ConfigureAwait(false);
        if (!RequestScheme.IsTls(request))
        {
            return new CountedStream(socket, factory.Metrics, OnFirstByte(RequestProtocol.WithoutTls(request)));
        }

        var host = request.RequestUri!.IdnHost;
        if (tls.GoesByUri && ServiceHost.IsShared(host, _instance.ServiceName) && factory.TrySaySharedName())
        {
            Log.SharedName(factory.Logger, _instance.ServiceName, host);
        }

        return await tls.HandshakeAsync(new CountedStream(socket, factory.Metrics), request, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>HTTP/1.1 begins with its name, and HTTP/2 with the length of its settings, which are no 64 KB.</summary>
    private Action<byte> OnFirstByte(InstanceProtocols asked) => first =>
    {
        if (first is (byte)'H' or 0)
        {
            transport.OnAnswered(asked, first == 0 ? InstanceProtocols.Http2 : InstanceProtocols.Http1);
        }
    };

    private InstanceConnectException Failed(string reason, Exception? cause, bool isFailFast = false)
    {
        if (transport.OnFailed(reason) && factory.FailureLines.Allows(factory.Logger, _instance.ServiceName))
        {
            Log.ConnectFailed(factory.Logger, _instance.Address, _instance.ServiceName, reason);
        }

        return new InstanceConnectException(transport, $"{_instance.Address}: {reason}", cause) { IsLocal = IsLocal(cause), IsFailFast = isFailFast };
    }

    /// <summary>Whether this machine lacks what a connection needs: free ports, handles, memory.</summary>
    internal static bool IsLocal(Exception? cause) => cause is SocketException
    {
        SocketErrorCode: SocketError.AddressNotAvailable or SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable,
    };

    private static partial class Log
    {
        [LoggerMessage(2601, LogLevel.Information, "No connection to {Address} of service '{Service}': {Reason}. The same reason is not logged again.")]
        public static partial void ConnectFailed(ILogger logger, string address, string service, string reason);

        [LoggerMessage(2602, LogLevel.Warning, "Over TLS the instances of service '{Service}' are known by certificates for '{Host}', for none can bear "
            + "the service's own name, and other services may come to the same. Set TlsTargetHost of the service (Etcd:Discovery:Services) to the name that its "
            + "certificates alone bear; that may be this one.")]
        public static partial void SharedName(ILogger logger, string service, string host);
    }
}
