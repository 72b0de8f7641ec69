using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Registration.Addresses;

namespace Discovery.AspNetCore.Registration;

/// <summary>One key of this application, as it stands while it serves.</summary>
/// <param name="Value">The value.</param>
/// <param name="DrainingValue">The value while the application drains; null when the layout has none, and the key is deleted instead.</param>
internal sealed record RegistrationRecord(byte[] Value, byte[]? DrainingValue)
{
    /// <summary>The services that the settings name, each with what differs for it.</summary>
    public static IEnumerable<(string Name, RegisteredServiceOptions Options)> ServicesOf(EtcdRegistrationOptions options)
    {
        if (!string.IsNullOrEmpty(options.ServiceName) && !options.Services.ContainsKey(options.ServiceName))
        {
            yield return (options.ServiceName, new RegisteredServiceOptions());
        }

        foreach (var (name, service) in options.Services)
        {
            yield return (name, service);
        }
    }

    /// <summary>The records that are to stand in etcd for this application, by key.</summary>
    /// <param name="desired">The settings and the endpoints.</param>
    /// <param name="layouts">The layouts by name.</param>
    /// <param name="instanceId">The id of this process.</param>
    /// <param name="weight">The weight that overrides the settings.</param>
    public static IReadOnlyDictionary<string, RegistrationRecord> Build(DesiredRegistration desired, LayoutCatalog layouts, string instanceId, int? weight)
    {
        var (options, endpoints, _) = desired;
        var records = new Dictionary<string, RegistrationRecord>(StringComparer.Ordinal);
        foreach (var (name, service) in ServicesOf(options))
        {
            var written = layouts.Parse(service.Layout ?? options.Layout);
            foreach (var endpoint in endpoints)
            {
                if (service.Endpoints.Count > 0 && !service.Endpoints.Contains(endpoint.Name, StringComparer.OrdinalIgnoreCase))
                {
                    continue;
                }

                var instance = new ServiceInstance
                {
                    Key = "",
                    ServiceName = name,
                    Host = endpoint.Host,
                    Port = endpoint.Port,
                    Scheme = endpoint.Scheme,
                    InstanceId = instanceId,
                    Weight = weight ?? service.Weight ?? options.Weight,
                    Zone = options.Zone,
                    Version = service.Version ?? options.Version,
                    Tags = [.. options.Tags.Concat(service.Tags).Distinct(StringComparer.Ordinal)],
                    Metadata = Merge(options, service, endpoint),
                };
                foreach (var layout in written)
                {
                    // A layout that cannot write a serving instance cannot register one at all.
                    if (layout.Write(instance) is { } value)
                    {
                        records[layout.GetKey(name, instance.Address)] =
                            new RegistrationRecord(value, layout.Write(instance with { IsDraining = true }));
                    }
                }
            }
        }

        return records;
    }

    private static Dictionary<string, string> Merge(
        EtcdRegistrationOptions options, RegisteredServiceOptions service, AdvertisedEndpoint endpoint)
    {
        var merged = new Dictionary<string, string>(options.Metadata, StringComparer.Ordinal);
        var ofEndpoint = options.Endpoints.TryGetValue(endpoint.Name, out var found) ? found.Metadata : null;
        foreach (var (name, value) in service.Metadata.Concat(ofEndpoint ?? Enumerable.Empty<KeyValuePair<string, string>>()))
        {
            merged[name] = value;
        }

        return merged;
    }
}
