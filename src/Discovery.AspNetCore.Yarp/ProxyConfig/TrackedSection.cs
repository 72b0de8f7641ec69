using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Yarp.ProxyConfig;

/// <summary>
/// A section that remembers what was read of it. YARP ignores members that it does not know, and in a document that nobody builds or
/// deploys, a misspelt <c>AuthorizationPolicy</c> would open a route to everybody.
/// </summary>
internal sealed class TrackedSection(IConfigurationSection section, TrackedSection.Reads reads) : IConfigurationSection
{
    public string Key => section.Key;

    public string Path => section.Path;

    public string? Value
    {
        get
        {
            reads.OnValue(section.Path);
            return section.Value;
        }
        set => throw new NotSupportedException();
    }

    public string? this[string key]
    {
        get
        {
            reads.OnMembers(section.Path);
            reads.OnValue(ConfigurationPath.Combine(section.Path, key));
            return section[key];
        }
        set => throw new NotSupportedException();
    }

    public IConfigurationSection GetSection(string key)
    {
        reads.OnMembers(section.Path);
        return new TrackedSection(section.GetSection(key), reads);
    }

    public IEnumerable<IConfigurationSection> GetChildren()
    {
        reads.OnMembers(section.Path);
        return section.GetChildren().Select(child => new TrackedSection(child, reads));
    }

    public IChangeToken GetReloadToken() => section.GetReloadToken();

    /// <summary>What was read.</summary>
    internal sealed class Reads
    {
        private readonly HashSet<string> _values = new(StringComparer.OrdinalIgnoreCase);
        private readonly HashSet<string> _withMembers = new(StringComparer.OrdinalIgnoreCase);

        /// <summary>The value that was asked for last, which is the wrong one when reading fails.</summary>
        public string Last { get; private set; } = "";

        public void OnValue(string path)
        {
            _values.Add(path);
            Last = path;
        }

        public void OnMembers(string path) => _withMembers.Add(path);

        /// <summary>Whether members were asked for.</summary>
        public bool HasMembers(string path) => _withMembers.Contains(path);

        /// <summary>Whether a value was asked for as one. Where members were asked for, a value has been passed over.</summary>
        public bool Has(string path) => _values.Contains(path) && !_withMembers.Contains(path);
    }
}
