using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Clusters;

/// <summary>An etcd cluster that the application uses: the default one, or one that was added by name. Its services are keyed by that name.</summary>
/// <param name="Name">The name; null for the default cluster.</param>
internal sealed record Cluster(string? Name)
{
    public static Cluster Default { get; } = new(Name: null);

    /// <summary>The name of its options.</summary>
    public string OptionsName => Name ?? Options.DefaultName;

    /// <summary>The section of its client's settings.</summary>
    public string Section => SectionOf(Name);

    public static string SectionOf(string? name) => string.IsNullOrEmpty(name) ? "Etcd" : $"Etcd:Clusters:{name}";

    /// <summary>The cluster's own service of a kind.</summary>
    public T GetService<T>(IServiceProvider services)
        where T : notnull
        => Name is null ? services.GetRequiredService<T>() : services.GetRequiredKeyedService<T>(Name);
}
