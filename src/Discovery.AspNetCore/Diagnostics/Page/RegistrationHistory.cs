namespace Discovery.AspNetCore.Diagnostics.Page;

/// <summary>What changed at a registration between two looks. An outage of etcd is one change, however often the text of its failures does.</summary>
internal sealed class RegistrationHistory
{
    private const string Away = "etcd is away";

    private ServiceRegistrationState? _state;
    private string? _problem;
    private long _lease;
    private int _leasesLost;
    private bool _isReturning;

    /// <summary>Looks at the registration.</summary>
    /// <returns>What changed since the last look, in order.</returns>
    public IEnumerable<(string Kind, string What)> Look(ServiceRegistrationStatus status)
    {
        var where = string.IsNullOrEmpty(status.Cluster) ? "" : $" in {status.Cluster}";
        var isInService = status.State is ServiceRegistrationState.Registered or ServiceRegistrationState.Registering;
        var problem = status.LastError is null ? null : status.IsEtcdAway ? Away : status.LastError;
        var isLost = _state is not null && status.LeasesLost > _leasesLost && isInService;
        List<(string, string)> changes = [];
        if (isLost && !_isReturning)
        {
            changes.Add(("lease lost", $"{_lease:x}{where}, and the keys went with it"));
        }

        _isReturning = isInService && (_isReturning || isLost);
        if (_isReturning && status.State == ServiceRegistrationState.Registered)
        {
            changes.Add(("registered again", $"{status.LeaseId:x}{where}"));
            _isReturning = false;
            (_state, _problem) = (status.State, problem is null ? null : _problem);
        }

        // Between a loss and the return, that it registers is no news; a new problem is.
        if (problem != _problem ? problem is not null || !_isReturning : status.State != _state && !_isReturning)
        {
            changes.Add(("registration", $"{status.State}{where}{(status.LastError is null ? "" : ": " + status.LastError)}"));
        }

        (_state, _problem, _leasesLost) = (status.State, problem, status.LeasesLost);
        _lease = status.LeaseId == 0 ? _lease : status.LeaseId;
        return changes;
    }
}
