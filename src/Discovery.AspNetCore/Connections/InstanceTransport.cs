using System.Runtime.CompilerServices;

namespace Discovery.AspNetCore.Connections;

/// <summary>
/// What carries the calls of one instance: a connection pool of its own, made by the first call. Of thousands of instances a client may
/// call few, and the application's certificates and settings would be read for each.
/// </summary>
internal sealed class InstanceTransport(ServiceInstance instance, TransportFactory factory) : IDisposable
{
    private const long Never = long.MinValue;

    private readonly Lock _gate = new();

    // Weak, for a connection whose response was forgotten is closed by the garbage collector alone.
    private readonly ConditionalWeakTable<Stream, InstanceTransport> _connections = [];
    private volatile HttpMessageInvoker? _invoker;
    private volatile string? _lastFailure;
    private volatile bool _disposed;
    private int _answeredInAnother;
    private long _timedOutAt = Never;

    public ServiceInstance Instance => instance;

    /// <summary>How long a connect may take: as the settings have it now, unless the application gave the transport a limit of its own.</summary>
    public TimeSpan ConnectTimeout => OwnConnectTimeout ?? factory.ConnectTimeout;

    /// <summary>The application's own limit; null if there is none.</summary>
    public TimeSpan? OwnConnectTimeout { get; set; }

    /// <summary>Why the latest attempt to connect failed; null when it did not.</summary>
    public string? LastFailure => _lastFailure;

    /// <summary>What sends the requests.</summary>
    /// <exception cref="InvalidOperationException">The application's settings of the transport are wrong.</exception>
    public HttpMessageInvoker Invoker => _invoker ?? Open();

    /// <summary>Sends a request. What it throws is for <see cref="FindFailure"/>.</summary>
    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        => RepeatedRequests.MustPrevent(request) ? SendOnceAsync(request, cancellationToken) : InvokeAsync(request, cancellationToken);

    /// <summary>The failure to connect that an exception of <see cref="SendAsync"/> is about, or null when it is about anything else.</summary>
    public InstanceConnectException? FindFailure(Exception exception)
    {
        var failure = exception as InstanceConnectException ?? (exception as HttpRequestException)?.InnerException as InstanceConnectException;
        return failure?.Transport == this ? failure : null;
    }

    /// <summary>Whether the latest connection for a protocol was answered in another one.</summary>
    public bool IsAnsweredInAnother(InstanceProtocols asked) => (Volatile.Read(ref _answeredInAnother) & (int)asked) != 0;

    /// <summary>The peer begins to speak.</summary>
    /// <param name="asked">The protocol of the connection.</param>
    /// <param name="spoken">The one in which it answers.</param>
    public void OnAnswered(InstanceProtocols asked, InstanceProtocols spoken)
    {
        if (asked == spoken)
        {
            Interlocked.And(ref _answeredInAnother, ~(int)asked);
        }
        else
        {
            Interlocked.Or(ref _answeredInAnother, (int)asked);
        }
    }

    public void OnConnected(Stream connection)
    {
        _lastFailure = null;
        _connections.Add(connection, this);
    }

    /// <summary>Keeps the reason of a failure to connect.</summary>
    /// <returns>Whether it is news: the first after a success, or another reason.</returns>
    public bool OnFailed(string reason)
    {
        var isNews = _lastFailure != reason;
        _lastFailure = reason;
        return isNews;
    }

    /// <summary>A connect took all of its time.</summary>
    public void OnTimedOut() => Interlocked.Exchange(ref _timedOutAt, factory.Time.GetTimestamp());

    /// <summary>How long ago a connect took all of its time; null if none did, or the next is to be dialled in spite of it.</summary>
    public TimeSpan? GetTimeSinceTimeout()
        => Interlocked.Read(ref _timedOutAt) is not Never and var at ? factory.Time.GetElapsedTime(at) : null;

    /// <summary>Has the next connect dialled, however short a time ago one timed out.</summary>
    public void ForgetTimeout() => Interlocked.Exchange(ref _timedOutAt, Never);

    /// <summary>Closes all connections, also those with calls, which <see cref="Dispose"/> lets finish.</summary>
    public void Abort()
    {
        Dispose();
        foreach (var (connection, _) in _connections)
        {
            connection.Dispose();
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _invoker?.Dispose();
        }
    }

    /// <summary>Sends a request with a body of no bytes, and leaves it as it was: a handler above may send it again.</summary>
    private async Task<HttpResponseMessage> SendOnceAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var body = RepeatedRequests.AddBody(request);
        try
        {
            return await InvokeAsync(request, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            RepeatedRequests.RemoveBody(request, body);
        }
    }

    private Task<HttpResponseMessage> InvokeAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            return Invoker.SendAsync(request, cancellationToken);
        }
        catch (ObjectDisposedException e) when (_disposed)
        {
            // Thrown here and now, not by the invoker's task: the call had picked the instance just before it left, and nothing was sent.
            throw new InstanceConnectException(this, $"The connections to {instance.Address} were closed because it left, or because this application ends.", e);
        }
    }

    private HttpMessageInvoker Open()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _invoker ??= new HttpMessageInvoker(factory.CreateHandler(this), disposeHandler: true);
        }
    }
}
