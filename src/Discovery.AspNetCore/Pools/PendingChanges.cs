using Discovery.AspNetCore.Watching;

namespace Discovery.AspNetCore.Pools;

/// <summary>
/// Collects what changed until the pool is built again. Each snapshot says how it differs from the one before; where one does not, or one was missed,
/// all may be different.
/// </summary>
internal sealed class PendingChanges(SnapshotFeed feed)
{
    private readonly Lock _gate = new();
    private HashSet<string> _addresses = new(StringComparer.Ordinal);
    private HashSet<InstanceState> _instances = [];
    private bool _isEverything = true;
    private long _latest;

    /// <summary>A snapshot was published.</summary>
    public void Add(ServiceSnapshot snapshot)
    {
        lock (_gate)
        {
            Collect(snapshot);
        }
    }

    /// <summary>The state of an instance has changed, so that other calls go to it, or none.</summary>
    public void Add(InstanceState instance)
    {
        lock (_gate)
        {
            _instances.Add(instance);
        }
    }

    /// <summary>All may be different: changed settings, or a build that failed half-way.</summary>
    public void AddEverything()
    {
        lock (_gate)
        {
            _isEverything = true;
        }
    }

    /// <summary>Takes the snapshot to be built, and what may be different there from the one that was taken before.</summary>
    /// <param name="changes">At least what is different.</param>
    /// <returns>Null before the first snapshot.</returns>
    public ServiceSnapshot? Take(out ChangesSince changes)
    {
        lock (_gate)
        {
            changes = ChangesSince.Everything;
            if (feed.Current is not { } snapshot)
            {
                return null;
            }

            // The feed may be a moment ahead of what it tells.
            Collect(snapshot);
            if (!_isEverything)
            {
                changes = new ChangesSince(_addresses, _instances);
            }

            _isEverything = false;
            _addresses = new HashSet<string>(StringComparer.Ordinal);
            _instances = [];
            return snapshot;
        }
    }

    private void Collect(ServiceSnapshot snapshot)
    {
        if (snapshot.Id == _latest && snapshot.Id != 0)
        {
            return;
        }

        if (snapshot.Change?.Since != _latest)
        {
            _isEverything = true;
        }
        else if (!_isEverything)
        {
            _addresses.UnionWith(snapshot.Change.Addresses);
        }

        _latest = snapshot.Id;
    }
}
