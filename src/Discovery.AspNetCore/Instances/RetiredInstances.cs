using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Instances;

/// <summary>Instances that left: their calls under way may finish, then their connections are closed.</summary>
internal sealed partial class RetiredInstances : IDisposable
{
    /// <summary>Calls that take longer than this after their instance left are cut, or a stream without end would keep it for ever.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(30);

    /// <summary>A call may have picked an instance just before it was retired; its connections stay open for at least this long.</summary>
    private static readonly TimeSpan GracePeriod = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();
    private readonly List<(InstanceState Instance, long Since)> _instances = [];
    private bool _disposed;

    public RetiredInstances(TimeProvider time, ILogger logger)
    {
        _time = time;
        _logger = logger;
        _timer = Detached.CreateTimer(time, CloseIdle);
    }

    /// <summary>Whether any are left.</summary>
    public bool Any
    {
        get
        {
            lock (_gate)
            {
                return _instances.Count > 0;
            }
        }
    }

    public void Add(InstanceState instance)
    {
        lock (_gate)
        {
            _instances.Add((instance, _time.GetTimestamp()));
            if (_instances.Count == 1)
            {
                // Not for each: where something leaves all the time, the timer would be put off all the time.
                _timer.Change(GracePeriod, GracePeriod);
            }
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _timer.Dispose();
            foreach (var (instance, _) in _instances)
            {
                instance.Transport?.Dispose();
            }

            _instances.Clear();
        }
    }

    private void CloseIdle()
    {
        lock (_gate)
        {
            var now = _time.GetTimestamp();
            _instances.RemoveAll(retired =>
            {
                var calls = retired.Instance.InFlight;
                var age = _time.GetElapsedTime(retired.Since, now);
                if (age < GracePeriod || (calls > 0 && age < Limit))
                {
                    return false;
                }

                if (calls > 0)
                {
                    Log.Cut(_logger, calls, retired.Instance.Record.Address, retired.Instance.Record.ServiceName, Limit);
                    retired.Instance.Transport?.Abort();
                    return true;
                }

                retired.Instance.Transport?.Dispose();
                return true;
            });
            if (_instances.Count == 0 && !_disposed)
            {
                _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2202, LogLevel.Warning, "{Calls} calls to {Address} of service '{Service}' go on {Limit} after it left; its connections are closed.")]
        public static partial void Cut(ILogger logger, int calls, string address, string service, TimeSpan limit);
    }
}
