using Discovery.Etcd;

namespace Discovery.AspNetCore.Diagnostics.Page;

/// <summary>The last changes. Looks every second what is different, so that nothing on the way of a call or of an event has to think of the page.</summary>
internal sealed class ChangeHistory : IDisposable
{
    private const int MaxKept = 200;

    /// <summary>Of a restart of thousands, the first changes tell as much as all.</summary>
    private const int MaxPerLook = 20;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly LinkedList<ChangeReport> _newest = [];
    private Dictionary<string, ServiceView> _before = [];
    private HashSet<(string Id, string Address)> _ejectedBefore = [];
    private readonly Dictionary<string, RegistrationHistory> _registrations = new(StringComparer.Ordinal);
    private ITimer? _timer;

    public ChangeHistory(TimeProvider time) => _time = time;

    /// <summary>The changes, the newest first.</summary>
    public IReadOnlyList<ChangeReport> Newest
    {
        get
        {
            lock (_gate)
            {
                return [.. _newest];
            }
        }
    }

    /// <summary>Begins to look.</summary>
    public void Follow(DiscoveryReporter reporter)
    {
        _timer = Detached.CreateTimer(_time, () => Look(reporter));
        _timer.Change(TimeSpan.Zero, Interval);
    }

    public void Dispose() => _timer?.Dispose();

    private void Look(DiscoveryReporter reporter)
    {
        lock (_gate)
        {
            try
            {
                List<ChangeReport> found = [];
                foreach (var status in reporter.Registrations())
                {
                    LookAtRegistration(status, found);
                }

                LookAtServices(reporter.Views(), found);
                Keep(found);
            }
            catch (ObjectDisposedException)
            {
                // The application was disposed; one that was never stopped said nothing of it.
                _timer?.Dispose();
            }
            catch (Exception)
            {
                // On a timer's thread it would end the process. Whoever opens the page gets it, and the next look may succeed.
            }
        }
    }

    private void Keep(List<ChangeReport> found)
    {
        foreach (var change in found.Take(MaxPerLook))
        {
            _newest.AddFirst(change);
        }

        if (found.Count > MaxPerLook)
        {
            _newest.AddFirst(new ChangeReport(_time.GetUtcNow(), null, "more", $"{found.Count - MaxPerLook} other changes at the same time"));
        }

        while (_newest.Count > MaxKept)
        {
            _newest.RemoveLast();
        }
    }

    private void LookAtRegistration(ServiceRegistrationStatus status, List<ChangeReport> found)
    {
        var cluster = status.Cluster ?? "";
        if (!_registrations.TryGetValue(cluster, out var registration))
        {
            _registrations.Add(cluster, registration = new RegistrationHistory());
        }

        found.AddRange(registration.Look(status).Select(c => new ChangeReport(_time.GetUtcNow(), null, c.Kind, c.What)));
    }

    private void LookAtServices(IReadOnlyList<ServiceView> views, List<ChangeReport> found)
    {
        HashSet<(string Id, string Address)> ejected = [];
        foreach (var view in views)
        {
            LookAtRecords(_before.GetValueOrDefault(view.Id)?.Snapshot, view, found);
            foreach (var instance in view.Instances.Where(static i => i.IsEjected))
            {
                var key = (view.Id, instance.Record.Address);
                ejected.Add(key);
                if (!_ejectedBefore.Remove(key))
                {
                    Add(found, view, "ejected", $"{instance.Record.Address}: {instance.Health.Reason}");
                }
            }
        }

        foreach (var (id, address) in _ejectedBefore)
        {
            if (views.FirstOrDefault(v => v.Id == id) is { } view && view.Snapshot?.Find(address) is not null)
            {
                Add(found, view, "returned", $"{address} gets calls again");
            }
        }

        _ejectedBefore = ejected;
        _before = views.ToDictionary(static v => v.Id, StringComparer.Ordinal);
    }

    private void LookAtRecords(ServiceSnapshot? before, ServiceView view, List<ChangeReport> found)
    {
        if (view.Snapshot is not { } now || ReferenceEquals(before, now))
        {
            return;
        }

        if (before is null)
        {
            Add(found, view, "found", $"{now.Instances.Count} {(now.Instances.Count == 1 ? "instance" : "instances")} at revision {now.Revision}");
            return;
        }

        foreach (var record in now.Instances)
        {
            if (before.Find(record.Address) is not { } known)
            {
                Add(found, view, "joined", record.Address);
            }
            else if (!ReferenceEquals(known, record) && known.IsDraining != record.IsDraining)
            {
                Add(found, view, record.IsDraining ? "draining" : "returned", record.Address);
            }
            else if (!ReferenceEquals(known, record) && known.InstanceId != record.InstanceId)
            {
                Add(found, view, "restarted", record.Address);
            }
        }

        foreach (var record in before.Instances.Where(r => now.Find(r.Address) is null))
        {
            Add(found, view, "left", record.Address);
        }
    }

    private void Add(List<ChangeReport> found, ServiceView view, string kind, string what)
        => found.Add(new ChangeReport(_time.GetUtcNow(), view.Id, kind, what));
}
