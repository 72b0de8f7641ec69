using Grpc.Net.Client;

namespace Discovery.Etcd.Connections;

/// <summary>
/// A connection of an endpoint, in use or its successor. One on which call after call stays unanswered is replaced: it may be half open, and
/// HTTP/2 pings would need many seconds to find that out. While a call is unanswered another one may try a second connection, which stays:
/// a slow server must not get new connections for being slow.
/// </summary>
internal sealed class ReplaceableConnection(Func<GrpcChannel> connect, TimeProvider time) : IDisposable
{
    // One unanswered call may be a slow server's.
    private const int SilencesBeforeReplacement = 2;

    private static readonly TimeSpan SecondKeptFor = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private EtcdConnection? _current;
    private EtcdConnection? _second;
    private long _answersBefore;
    private long _secondUsedAt;
    private bool _disposed;

    /// <summary>Borrows the connection; it must be given back by <see cref="Return"/>.</summary>
    public EtcdConnection Rent()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(EtcdClient));
            _current ??= new EtcdConnection(connect());
            _current.AddUser();
            return _current;
        }
    }

    /// <summary>Borrows another connection, because a call on the first is unanswered. If it answers and the first does not, it takes the first one's place.</summary>
    public EtcdConnection RentSecond()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(EtcdClient));
            _second ??= new EtcdConnection(connect());
            _second.AddUser();
            _answersBefore = _current?.Answers ?? 0;
            return _second;
        }
    }

    /// <summary>Gives a connection back.</summary>
    public void Return(EtcdConnection connection, CallOutcome outcome)
    {
        lock (_gate)
        {
            connection.RemoveUser(outcome);
            if (connection == _second)
            {
                ReturnSecond(outcome);
            }
            else if (connection == _current)
            {
                if (connection.Silences >= SilencesBeforeReplacement)
                {
                    RetireCurrent();
                }
                else if (outcome == CallOutcome.Answered && _second is { IsUsed: false } && time.GetElapsedTime(_secondUsedAt) >= SecondKeptFor)
                {
                    _second.Retire();
                    _second = null;
                }
            }
        }
    }

    /// <summary>Lets no further call use this connection.</summary>
    public void Replace(EtcdConnection connection)
    {
        lock (_gate)
        {
            if (connection == _current)
            {
                RetireCurrent();
            }
            else if (connection == _second)
            {
                _second.Retire();
                _second = null;
            }
        }
    }

    /// <summary>The next call makes a new connection.</summary>
    public void Replace()
    {
        lock (_gate)
        {
            _current?.Retire();
            _second?.Retire();
            (_current, _second) = (null, null);
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _current?.Close();
            _second?.Close();
            (_current, _second) = (null, null);
        }
    }

    private void ReturnSecond(CallOutcome outcome)
    {
        _secondUsedAt = time.GetTimestamp();
        if (outcome == CallOutcome.Answered && (_current is null || _current.Answers == _answersBefore))
        {
            RetireCurrent();
        }
        else if (outcome == CallOutcome.Silent)
        {
            _second!.Retire();
            _second = null;
        }
    }

    private void RetireCurrent()
    {
        _current?.Retire();
        (_current, _second) = (_second, null);
    }
}
