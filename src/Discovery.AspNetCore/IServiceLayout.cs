using System.Diagnostics.CodeAnalysis;
using Discovery.Etcd;

namespace Discovery.AspNetCore;

/// <summary>
/// A wire format: where the records of a service stand in etcd and how they are written. Register an implementation as a singleton
/// <see cref="IServiceLayout"/> and name it in <c>Etcd:Registration:Layout</c> or <c>Etcd:Discovery:Layout</c>. Stateless and thread-safe.
/// </summary>
public interface IServiceLayout
{
    /// <summary>The name used in configuration, without a colon or a comma; compared without regard to case.</summary>
    string Name { get; }

    /// <summary>
    /// Whether the format has a draining state. Without one, a deleted key can be a graceful stop as well as a crash.
    /// </summary>
    bool SupportsDraining { get; }

    /// <summary>
    /// Whether a record has room for what an instance says of itself, such as the protocols that it speaks. Without it, only the endpoints
    /// that speak HTTP/2 are registered where a service has some, and replicas with one URL share one key. Default: <see langword="true"/>.
    /// </summary>
    bool SupportsMetadata => true;

    /// <summary>
    /// The same layout below another root: what stands after a colon in the setting, as in <c>EtcdNaming:openim/</c>.
    /// </summary>
    /// <param name="root">The root, as the setting has it; may be empty.</param>
    /// <returns>The layout, or <see langword="null"/> when its root is fixed, which is the default.</returns>
    IServiceLayout? WithRoot(string root) => null;

    /// <summary>
    /// What the keys of all services begin with, e.g. <c>services/</c>. Default: <see langword="null"/>, they have nothing in common, and the
    /// services of this layout cannot be listed.
    /// </summary>
    string? RootPrefix => null;

    /// <summary>Finds the service that a key belongs to, for layouts with a <see cref="RootPrefix"/>.</summary>
    /// <param name="key">A key below the root; whoever can write there chose it.</param>
    /// <returns>
    /// The service's name, or <see langword="null"/>, which is the default, when the key is that of no service. The key must begin with
    /// <see cref="GetPrefix"/> of the name.
    /// </returns>
    string? GetServiceName(string key) => null;

    /// <summary>The prefix of all keys of a service; it ends where another service's name cannot go on.</summary>
    /// <param name="serviceName">The service's name; it has no slash.</param>
    string GetPrefix(string serviceName);

    /// <summary>The key of an instance; begins with the service's prefix.</summary>
    /// <param name="serviceName">The service's name.</param>
    /// <param name="address">The instance's <see cref="ServiceInstance.Address"/>.</param>
    string GetKey(string serviceName, string address);

    /// <summary>
    /// The value to put, or <see langword="null"/> when the format cannot express the instance, such as one that drains: the key is
    /// then deleted.
    /// </summary>
    /// <param name="instance">The instance; its key and revision are not set.</param>
    byte[]? Write(ServiceInstance instance);

    /// <summary>Reads a record. What comes from the network may be anything: a record that cannot be read is skipped and counted.</summary>
    /// <param name="serviceName">The service whose prefix was listed.</param>
    /// <param name="record">The record.</param>
    /// <param name="instance">The instance, with the record's key and <see cref="EtcdKeyValue.ModRevision"/>.</param>
    /// <param name="problem">Why the record is no instance.</param>
    /// <returns>Whether the record is an instance.</returns>
    bool TryRead(
        string serviceName,
        EtcdKeyValue record,
        [NotNullWhen(true)] out ServiceInstance? instance,
        [NotNullWhen(false)] out string? problem);

    /// <summary>
    /// Reads a record of a format that may have several addresses in one record. By default what <see cref="TryRead"/> reads.
    /// </summary>
    /// <param name="serviceName">The service whose prefix was listed.</param>
    /// <param name="record">The record.</param>
    /// <param name="instances">The instances, each with another address and all with the record's key and revision; at least one.</param>
    /// <param name="problem">Why the record is no instance.</param>
    /// <returns>Whether the record has an instance.</returns>
    bool TryReadAll(
        string serviceName,
        EtcdKeyValue record,
        [NotNullWhen(true)] out IReadOnlyList<ServiceInstance>? instances,
        [NotNullWhen(false)] out string? problem)
    {
        instances = TryRead(serviceName, record, out var instance, out problem) ? [instance] : null;
        return instances is not null;
    }
}
