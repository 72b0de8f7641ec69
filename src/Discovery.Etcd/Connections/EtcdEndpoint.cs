using Grpc.Net.Client;

namespace Discovery.Etcd.Connections;

/// <summary>
/// One configured endpoint: its two connections and how it fared lately. Streams have their own connection, so that a watch or a lease
/// renewal never waits behind a large list.
/// </summary>
internal sealed class EtcdEndpoint : IDisposable
{
    // A failed endpoint is left alone for 250 ms, then ever longer, up to 15 s: short enough to find a restarted member
    // soon, long enough not to spend an attempt's limit on a dead one at each call.
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(15);

    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private int _failures;
    private long _failedAt;
    private TimeSpan _pause;

    public EtcdEndpoint(Uri address, Func<GrpcChannel> connect, TimeProvider time)
    {
        Address = address;
        Name = address.GetLeftPart(UriPartial.Authority);
        Calls = new ReplaceableConnection(connect);
        Streams = new ReplaceableConnection(connect);
        _time = time;
    }

    public Uri Address { get; }

    /// <summary>The endpoint as messages name it.</summary>
    public string Name { get; }

    /// <summary>The connection of unary calls.</summary>
    public ReplaceableConnection Calls { get; }

    /// <summary>The connection of streams.</summary>
    public ReplaceableConnection Streams { get; }

    /// <summary>How long the endpoint is still to be left alone; zero when it is in good order.</summary>
    public TimeSpan PauseLeft
    {
        get
        {
            lock (_gate)
            {
                if (_failures == 0)
                {
                    return TimeSpan.Zero;
                }

                var left = _pause - _time.GetElapsedTime(_failedAt);
                return left > TimeSpan.Zero ? left : TimeSpan.Zero;
            }
        }
    }

    /// <summary>It answered.</summary>
    public void Succeeded()
    {
        lock (_gate)
        {
            _failures = 0;
        }
    }

    /// <summary>It did not answer, or not as a working member does.</summary>
    public void Failed()
    {
        lock (_gate)
        {
            // Calls that run together fail together: that is one failure, not several.
            var since = _time.GetElapsedTime(_failedAt);
            if (_failures > 0 && since < _pause)
            {
                return;
            }

            _failures = Math.Min(_failures + 1, 16);
            _failedAt = _time.GetTimestamp();
            _pause = Jitter.Spread(Jitter.Grow(FirstPause, _failures, LongestPause));
        }
    }

    public void Dispose()
    {
        Calls.Dispose();
        Streams.Dispose();
    }
}
