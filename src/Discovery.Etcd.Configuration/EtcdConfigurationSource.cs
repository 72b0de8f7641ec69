using Microsoft.Extensions.Configuration;

namespace Discovery.Etcd.Configuration;

/// <summary>The keys under a prefix. Each provider has a client of its own, which ends with it.</summary>
internal sealed class EtcdConfigurationSource(string prefix, EtcdConfigurationOptions options, EtcdClientOptions client) : IConfigurationSource
{
    public IConfigurationProvider Build(IConfigurationBuilder builder) => new EtcdConfigurationProvider(prefix, options, client);
}
