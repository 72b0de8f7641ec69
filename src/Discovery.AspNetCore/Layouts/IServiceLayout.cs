using System.Diagnostics.CodeAnalysis;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Layouts;

/// <summary>A wire format: where the records of a service stand in etcd and how they are written. Stateless.</summary>
internal interface IServiceLayout
{
    /// <summary>The layout as it stands in a setting: its name and, where it is not the layout's own, its root.</summary>
    string Name { get; }

    /// <summary>Whether the format has a draining state. Without one, a deleted key can be a graceful stop as well as a crash.</summary>
    bool SupportsDraining { get; }

    /// <summary>The prefix of all keys of a service; it ends where another service's name cannot go on.</summary>
    string GetPrefix(string serviceName);

    /// <summary>The key of an instance at an address (<c>host:port</c>).</summary>
    string GetKey(string serviceName, string address);

    /// <summary>
    /// The value to put, or <see langword="null"/> when the format cannot express the instance, such as one that drains: the key is
    /// then deleted.
    /// </summary>
    byte[]? Write(ServiceInstance instance);

    /// <summary>Reads a record. Never throws: what comes from the network may be anything.</summary>
    /// <param name="serviceName">The service whose prefix was listed.</param>
    /// <param name="record">The record.</param>
    /// <param name="instance">The instance.</param>
    /// <param name="problem">Why the record is no instance.</param>
    bool TryRead(
        string serviceName,
        EtcdKeyValue record,
        [NotNullWhen(true)] out ServiceInstance? instance,
        [NotNullWhen(false)] out string? problem);
}
