using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Registration.Addresses;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Registration;

/// <summary>One key of this application, as it stands while it serves.</summary>
/// <param name="Value">The value.</param>
/// <param name="DrainingValue">The value while the application drains; null when the layout has none, and the key is deleted instead.</param>
internal sealed record RegistrationRecord(byte[] Value, byte[]? DrainingValue)
{
    /// <summary>
    /// Whether replicas that advertise one URL share the key, because the layout has the address in it. One of them holds it, and hands it
    /// over to another when it leaves.
    /// </summary>
    public bool IsShared { get; init; }

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
        if (endpoints.Count == 0)
        {
            // Nor are the layouts read, which nobody has validated where registration is switched off.
            return records;
        }

        foreach (var (name, service) in ServicesOf(options))
        {
            var written = layouts.Parse(service.Layout ?? options.Layout);
            var chosen = EndpointSelector.Select(options, service, endpoints);
            foreach (var endpoint in chosen)
            {
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
                    // Who reads a record that does not say what its instance speaks takes it for a gRPC server.
                    if (!layout.SupportsMetadata && !SpeaksHttp2(endpoint) && chosen.Any(SpeaksHttp2))
                    {
                        continue;
                    }

                    // A layout that cannot write a serving instance cannot register one at all.
                    if (layout.Write(instance) is { } value)
                    {
                        var key = GetKey(layout, instance, value, endpoint.IsShared);
                        records[key] = new RegistrationRecord(value, layout.Write(instance with { IsDraining = true }))
                        {
                            IsShared = endpoint.IsShared && key == layout.GetKey(name, instance.Address),
                        };
                    }
                }
            }
        }

        return records;
    }

    private static bool SpeaksHttp2(AdvertisedEndpoint endpoint) => EndpointProtocols.HasHttp2(endpoint.Protocols);

    /// <summary>
    /// Replicas that advertise one URL each have their own key, below that of the address: one that stops takes nothing from the others.
    /// </summary>
    private static string GetKey(IServiceLayout layout, ServiceInstance instance, byte[] value, bool isShared)
    {
        var key = layout.GetKey(instance.ServiceName, instance.Address);
        if (!isShared || !layout.SupportsMetadata)
        {
            return key;
        }

        // Not where the layout reads the address from the key.
        var own = $"{key}/{instance.InstanceId}";
        return CanBeRead(layout, instance, own, value) ? own : key;
    }

    private static bool CanBeRead(IServiceLayout layout, ServiceInstance instance, string key, byte[] value)
    {
        var record = new EtcdKeyValue { KeyBytes = Encoding.UTF8.GetBytes(key), Value = value, CreateRevision = 1, ModRevision = 1, Version = 1 };
        try
        {
            return layout.TryRead(instance.ServiceName, record, out var read, out _) && read.Address == instance.Address;
        }
        catch (Exception)
        {
            // The layout may be the application's own, and did not expect such a key.
            return false;
        }
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

        // A settings file can say null, for a name that it does not want or that another file has set.
        foreach (var (name, _) in merged.Where(static m => m.Value is null).ToList())
        {
            merged.Remove(name);
        }

        // What is set by hand for what stands in front of an endpoint wins.
        if (endpoint.Protocols is { } protocols)
        {
            merged.TryAdd("protocols", protocols);
        }

        if (endpoint.Name != endpoint.Scheme)
        {
            merged.TryAdd("endpoint", endpoint.Name);
        }

        return merged;
    }
}
