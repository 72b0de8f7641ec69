using Discovery.Etcd;

namespace Discovery.AspNetCore.Registration.Health;

/// <summary>Looks whether enough other instances are in service for this one to leave.</summary>
internal static class InstanceFloor
{
    /// <summary>The first service of this application that has fewer other instances than it needs, or <see langword="null"/>.</summary>
    /// <exception cref="EtcdException">etcd could not be asked.</exception>
    public static async Task<string?> FindShortServiceAsync(EtcdClient client, Registrar registrar, CancellationToken cancellationToken)
    {
        var options = registrar.Options;
        foreach (var (name, service) in RegistrationRecord.ServicesOf(options))
        {
            // An instance stands in all layouts of its service.
            var layout = registrar.Layouts.Parse(service.Layout ?? options.Layout)[0];
            var listing = await client.ListAsync(layout.GetPrefix(name), cancellationToken: cancellationToken).ConfigureAwait(false);
            var own = registrar.Status.Keys;
            var others = listing.Items
                .Where(record => !own.Contains(record.Key, StringComparer.Ordinal))
                .Select(record => layout.TryRead(name, record, out var instance, out _) ? instance : null)
                .Where(instance => instance is { IsDraining: false, Weight: > 0 } && instance.InstanceId != registrar.InstanceId)
                .Select(static instance => instance!.Address)
                .Distinct(StringComparer.Ordinal)
                .Count();
            if (others < options.Health.MinimumInstances)
            {
                return name;
            }
        }

        return null;
    }
}
