using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.Benchmarks;

/// <summary>What an application has before it adds anything: a configuration, and logging to nowhere.</summary>
internal static class BenchServices
{
    public static ServiceCollection Create(params (string Key, string Value)[] settings)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(
            new ConfigurationBuilder().AddInMemoryCollection(settings.Select(static s => KeyValuePair.Create(s.Key, (string?)s.Value))).Build());
        services.AddLogging();
        return services;
    }
}
