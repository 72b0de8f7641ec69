using Microsoft.Extensions.Logging;

namespace Discovery.Etcd;

/// <summary>
/// An outage of etcd as the parts of one application meet it. The watch stream, each keeper and whoever else uses the client notice it by
/// themselves, but for who reads the log it is one: the first part warns, and the last one to recover tells how long it was. Thread-safe.
/// </summary>
/// <param name="timeProvider">The clock that the timestamps are from.</param>
public sealed class EtcdOutage(TimeProvider timeProvider)
{
    private readonly Lock _gate = new();
    private readonly HashSet<object> _affected = [];
    private long _since;

    /// <summary>A part is affected.</summary>
    /// <param name="part">Which.</param>
    /// <param name="since">Since when, as a timestamp of the clock.</param>
    /// <returns>At which level the part should log that: a warning for the first one, else debug.</returns>
    public LogLevel Began(object part, long since)
    {
        lock (_gate)
        {
            var isFirst = _affected.Count == 0;
            _since = isFirst ? since : Math.Min(_since, since);
            _affected.Add(part);
            return isFirst ? LogLevel.Warning : LogLevel.Debug;
        }
    }

    /// <summary>A part has recovered.</summary>
    /// <param name="part">Which.</param>
    /// <param name="at">Since when, as a timestamp of the clock.</param>
    /// <returns>At which level the part should log that (information for the last one, else debug), and how long the outage has been.</returns>
    public (LogLevel Level, TimeSpan Length) Over(object part, long at)
    {
        lock (_gate)
        {
            _affected.Remove(part);
            return (_affected.Count == 0 ? LogLevel.Information : LogLevel.Debug, timeProvider.GetElapsedTime(_since, at));
        }
    }

    /// <summary>A part ended, or has no need of etcd any more.</summary>
    /// <param name="part">Which.</param>
    public void Forget(object part)
    {
        lock (_gate)
        {
            _affected.Remove(part);
        }
    }
}
