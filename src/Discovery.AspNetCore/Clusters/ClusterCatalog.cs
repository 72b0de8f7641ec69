using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Clusters;

/// <summary>The clusters that the application added. Filled while services are added, read afterwards.</summary>
internal sealed class ClusterCatalog
{
    private readonly Dictionary<string, Cluster> _byName = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<Cluster> _registering = [];

    /// <summary>The default cluster, whether it is used or not, and those that were added by name.</summary>
    public IEnumerable<Cluster> All => _byName.Values.Prepend(Cluster.Default);

    /// <summary>Those that were added by name.</summary>
    public IReadOnlyCollection<Cluster> Named => _byName.Values;

    /// <summary>Those that the application registers itself in.</summary>
    public IReadOnlyList<Cluster> Registering => _registering;

    public static ClusterCatalog Of(IServiceCollection services)
    {
        if (services.FirstOrDefault(static d => d.ServiceType == typeof(ClusterCatalog))?.ImplementationInstance is not ClusterCatalog clusters)
        {
            services.AddSingleton(clusters = new ClusterCatalog());
        }

        return clusters;
    }

    /// <summary>Finds a cluster, or adds it.</summary>
    /// <exception cref="ArgumentException">The name cannot be that of a section of settings and of a directory.</exception>
    public (Cluster Cluster, bool IsNew) GetOrAdd(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (!IsName(name))
        {
            throw new ArgumentException(
                $"'{name}' cannot name a cluster: it names a section of settings and must have letters, digits, dots, hyphens and underscores "
                + "only, and begin with a letter or digit, e.g. dc2.",
                nameof(name));
        }

        if (!_byName.TryGetValue(name, out var cluster))
        {
            _byName[name] = cluster = new Cluster(name);
            return (cluster, true);
        }

        return cluster.Name == name ? (cluster, false) : throw new ArgumentException(
            $"The cluster '{name}' was added as '{cluster.Name}' already, and settings do not tell the two apart. Write it the same way everywhere.",
            nameof(name));
    }

    /// <summary>Has the application register itself in a cluster.</summary>
    public void AddRegistration(Cluster cluster)
    {
        if (!_registering.Contains(cluster))
        {
            _registering.Add(cluster);
        }
    }

    /// <summary>The cluster of a setting, whose case does not matter; null if it was never added. No name is that of the default cluster.</summary>
    public Cluster? Find(string? name) => string.IsNullOrEmpty(name) ? Cluster.Default : _byName.GetValueOrDefault(name);

    /// <summary>The cluster of a setting.</summary>
    /// <exception cref="InvalidOperationException">It was never added.</exception>
    public Cluster Get(string? name) => Find(name) ?? throw new InvalidOperationException(Explain($"The cluster '{name}' is asked for", name!));

    /// <summary>What is wrong with the name that a setting has; null if nothing is.</summary>
    public string? GetProblem(string setting, string? name) => Find(name) is null ? Explain($"{setting} is '{name}'", name!) : null;

    private static bool IsName(string name)
        => name.Length > 0 && char.IsAsciiLetterOrDigit(name[0]) && name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');

    private string Explain(string fact, string name)
    {
        var known = _byName.Count == 0 ? "no cluster but the default one" : string.Join(", ", _byName.Values.Select(static c => $"'{c.Name}'"));
        return $"{fact}, but the application has {known}: add it by AddKeyedEtcdClient(\"{name}\"), or leave the name empty for the default cluster.";
    }
}
