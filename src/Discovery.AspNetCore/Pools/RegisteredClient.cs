using System.Collections.Immutable;

namespace Discovery.AspNetCore.Pools;

/// <summary>One client of a service.</summary>
/// <param name="name">The client's name.</param>
/// <param name="serviceName">The service as code has it.</param>
/// <param name="isServiceNameDefault">Whether the settings may name another service.</param>
internal sealed class RegisteredClient(string name, string serviceName, bool isServiceNameDefault = false)
{
    private readonly string _ownOptionsName = $"{name}@{serviceName}";
    private string _serviceName = serviceName;
    private ImmutableHashSet<string> _hosts = HostsOf(serviceName);

    public string Name => name;

    /// <summary>The service that the client was registered for.</summary>
    public string RegisteredServiceName { get; } = serviceName;

    /// <summary>Whether code has named no service.</summary>
    public bool IsServiceNameDefault => isServiceNameDefault;

    /// <summary>The service that the client calls. The settings may have renamed it, before the first call.</summary>
    public string ServiceName
    {
        get => _serviceName;
        set
        {
            if (_serviceName != value)
            {
                _serviceName = value;
                _hosts = HostsOf(value);
            }
        }
    }

    /// <summary>Whether code sets something for this client alone; it then has connections of its own.</summary>
    public bool IsCustomised { get; set; }

    /// <summary>Whether requests may name any host: a gRPC client's all name the one of its channel.</summary>
    public bool HasAnyHost { get; set; }

    /// <summary>What code does to each instance's transport.</summary>
    public List<Action<SocketsHttpHandler>> Transport { get; } = [];

    /// <summary>The name of its options and of its pool: clients of one service share them unless they differ.</summary>
    public string OptionsName => IsCustomised ? _ownOptionsName : _serviceName;

    /// <summary>Whether a host in a request's URI stands for the service.</summary>
    public bool HasHost(string host)
        => HasAnyHost || host == _serviceName || _hosts.Contains(host);

    /// <summary>Has the host of a base address stand for the service.</summary>
    public void AddHost(Uri? baseAddress)
    {
        if (baseAddress is not null && !HasHost(baseAddress.IdnHost))
        {
            ImmutableInterlocked.Update(ref _hosts, static (hosts, host) => hosts.Add(host), baseAddress.IdnHost);
        }
    }

    /// <summary>The service's name, and what stands for it in a base address.</summary>
    private static ImmutableHashSet<string> HostsOf(string serviceName)
    {
        var hosts = ImmutableHashSet.Create(
            StringComparer.OrdinalIgnoreCase, serviceName, ServiceAuthority.BaseAddress(Uri.UriSchemeHttp, serviceName).IdnHost);

        // A URI has its host in another form where it is not ASCII, or may be a number: http://Grüße, http://12345.
        return Uri.CheckHostName(serviceName) is UriHostNameType.Dns or UriHostNameType.IPv4 ? hosts.Add(new Uri($"http://{serviceName}/").IdnHost) : hosts;
    }
}
