using System.Collections.Immutable;

namespace Discovery.AspNetCore.Pools;

/// <summary>One client of a service.</summary>
internal sealed class RegisteredClient(string name, string serviceName)
{
    private readonly string _ownOptionsName = $"{name}@{serviceName}";
    private ImmutableHashSet<string> _hosts = ImmutableHashSet.Create(StringComparer.OrdinalIgnoreCase, serviceName);

    public string Name => name;

    public string ServiceName => serviceName;

    /// <summary>Whether code sets something for this client alone; it then has connections of its own.</summary>
    public bool IsCustomised { get; set; }

    /// <summary>Whether requests may name any host: a gRPC client's all name the one of its channel.</summary>
    public bool HasAnyHost { get; set; }

    /// <summary>What code does to each instance's transport.</summary>
    public List<Action<SocketsHttpHandler>> Transport { get; } = [];

    /// <summary>The name of its options and of its pool: clients of one service share them unless they differ.</summary>
    public string OptionsName => IsCustomised ? _ownOptionsName : serviceName;

    /// <summary>Whether a host in a request's URI stands for the service.</summary>
    public bool HasHost(string host)
        => HasAnyHost || host == serviceName || _hosts.Contains(host);

    /// <summary>Has the host of a base address stand for the service.</summary>
    public void AddHost(Uri? baseAddress)
    {
        if (baseAddress is not null && !HasHost(baseAddress.IdnHost))
        {
            ImmutableInterlocked.Update(ref _hosts, static (hosts, host) => hosts.Add(host), baseAddress.IdnHost);
        }
    }
}
