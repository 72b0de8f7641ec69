namespace Discovery.AspNetCore.Http;

/// <summary>Endpoints that left: their calls under way may finish, then their connections are closed.</summary>
internal sealed class RetiredEndpoints : IDisposable
{
    /// <summary>A call may have picked an endpoint just before it was retired; its connections stay open for at least this long.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();
    private readonly List<(ServiceEndpoint Endpoint, long Since)> _endpoints = [];
    private bool _disposed;

    public RetiredEndpoints(TimeProvider time)
    {
        _time = time;
        _timer = time.CreateTimer(static r => ((RetiredEndpoints)r!).CloseIdle(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public void Add(ServiceEndpoint endpoint)
    {
        lock (_gate)
        {
            _endpoints.Add((endpoint, _time.GetTimestamp()));
            if (_endpoints.Count == 1)
            {
                // Not for each: where something leaves all the time, the timer would be put off all the time.
                _timer.Change(Pause, Pause);
            }
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _timer.Dispose();
            foreach (var (endpoint, _) in _endpoints)
            {
                endpoint.Transport?.Dispose();
            }

            _endpoints.Clear();
        }
    }

    private void CloseIdle()
    {
        lock (_gate)
        {
            var now = _time.GetTimestamp();
            _endpoints.RemoveAll(retired =>
            {
                if (retired.Endpoint.InFlight > 0 || _time.GetElapsedTime(retired.Since, now) < Pause)
                {
                    return false;
                }

                retired.Endpoint.Transport?.Dispose();
                return true;
            });
            if (_endpoints.Count == 0 && !_disposed)
            {
                _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }
        }
    }
}
