using System.Diagnostics.CodeAnalysis;
using Discovery.AspNetCore.Layouts;

namespace Discovery.AspNetCore.Watching;

/// <summary>A service whose instances stand in the settings. Needs no etcd, and never changes.</summary>
internal sealed class StaticService : IWatchedService
{
    /// <summary>Publishes the instances.</summary>
    /// <param name="serviceName">The service's name.</param>
    /// <param name="addresses">The instances, valid by <see cref="TryRead"/>.</param>
    /// <param name="time">The clock.</param>
    public StaticService(string serviceName, IEnumerable<string> addresses, TimeProvider time)
    {
        var setting = $"Etcd:Discovery:Services:{serviceName}:Instances";
        Status = new ServiceStatus { ServiceName = serviceName, Prefix = setting, IsReady = true, IsConnected = true, Revision = 0 };
        Feed.Publish(new ServiceSnapshot(
            serviceName,
            addresses.Select(text => TryRead(serviceName, text, out var instance, out var problem) ? instance : throw new FormatException(problem)))
        {
            Prefix = setting,
            Reason = ServiceChangeReason.Configured,
            PublishedAt = time.GetUtcNow(),
        });
    }

    public SnapshotFeed Feed { get; } = new();

    public ServiceStatus Status { get; }

    /// <summary>Reads an entry of the setting: <c>127.0.0.1:5001</c>, or a URL, whose port may be that of its scheme.</summary>
    public static bool TryRead(
        string serviceName, string text, [NotNullWhen(true)] out ServiceInstance? instance, [NotNullWhen(false)] out string? problem)
    {
        instance = null;
        if (Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri is { Scheme: "http" or "https", IsDefaultPort: true, UserInfo: "", PathAndQuery: "/", Fragment: "" })
        {
            text = $"{uri.Scheme}://{uri.Host}:{uri.Port}";
        }

        if (!ServiceAddress.TryParse(text, out var address, out problem))
        {
            return false;
        }

        instance = new ServiceInstance
        {
            Key = text, ServiceName = serviceName, Scheme = address.Scheme, Host = address.Host, Port = address.Port, IsAbsoluteName = address.IsAbsolute,
        };
        return true;
    }

    public ValueTask<ServiceSnapshot> WaitForReadyAsync(TimeSpan limit, CancellationToken cancellationToken) => new(Feed.Current!);

    public ValueTask DisposeAsync()
    {
        Feed.Close();
        return ValueTask.CompletedTask;
    }
}
