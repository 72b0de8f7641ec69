using Discovery.Etcd;

namespace Discovery.AspNetCore.Registration;

/// <summary>
/// Finds other processes that claim this one's instance id. The record of a predecessor that crashed is none: it goes with its lease,
/// so what is found counts only if it still stands, on the same lease, after that.
/// </summary>
internal static class DuplicateIdCheck
{
    public static async Task RunAsync(EtcdClient client, Registrar registrar, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!registrar.HasEndpoints)
        {
            return;
        }

        var options = registrar.Options;
        var suspects = await FindAsync(client, registrar, cancellationToken).ConfigureAwait(false);
        if (suspects.Count == 0)
        {
            return;
        }

        await Task.Delay(options.TimeToLive + TimeSpan.FromSeconds(1), time, cancellationToken).ConfigureAwait(false);
        suspects.IntersectWith(await FindAsync(client, registrar, cancellationToken).ConfigureAwait(false));
        if (suspects.Count > 0)
        {
            registrar.ReportDuplicate(suspects.Select(static s => s.Key));
        }
    }

    private static async Task<HashSet<(string Key, long LeaseId)>> FindAsync(
        EtcdClient client, Registrar registrar, CancellationToken cancellationToken)
    {
        var found = new HashSet<(string, long)>();
        foreach (var (name, service) in RegistrationRecord.ServicesOf(registrar.Options))
        {
            foreach (var layout in registrar.Layouts.Parse(service.Layout ?? registrar.Options.Layout))
            {
                var listing = await client.ListAsync(layout.GetPrefix(name), cancellationToken: cancellationToken).ConfigureAwait(false);
                foreach (var record in listing.Items)
                {
                    if (layout.TryRead(name, record, out var instance, out _) && instance.InstanceId == registrar.InstanceId
                        && !registrar.IsOfThisProcess(record.LeaseId) && !registrar.Status.Keys.Contains(record.Key, StringComparer.Ordinal))
                    {
                        found.Add((record.Key, record.LeaseId));
                    }
                }
            }
        }

        return found;
    }
}
