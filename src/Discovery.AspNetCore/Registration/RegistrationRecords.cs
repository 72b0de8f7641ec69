using Discovery.AspNetCore.Layouts;

namespace Discovery.AspNetCore.Registration;

/// <summary>What is to stand in etcd for this application.</summary>
internal static class RegistrationRecords
{
    /// <summary>The services that the settings name, each with what differs for it.</summary>
    public static IEnumerable<(string Name, RegisteredServiceOptions Options)> Services(EtcdRegistrationOptions options)
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

    /// <summary>The records by key.</summary>
    /// <param name="plan">The settings and the endpoints.</param>
    /// <param name="instanceId">The id of this process.</param>
    /// <param name="weight">The weight that wins over the settings' one.</param>
    public static IReadOnlyDictionary<string, RegistrationRecord> Build(RegistrationPlan plan, string instanceId, int? weight)
    {
        var (options, endpoints, _) = plan;
        var records = new Dictionary<string, RegistrationRecord>(StringComparer.Ordinal);
        foreach (var (name, service) in Services(options))
        {
            var layouts = ServiceLayouts.Parse(service.Layout ?? options.Layout);
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
                foreach (var layout in layouts)
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
