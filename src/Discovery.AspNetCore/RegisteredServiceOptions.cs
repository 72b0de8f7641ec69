using Discovery.AspNetCore.Layouts;

namespace Discovery.AspNetCore;

/// <summary>What differs for one service of an application that has several. What is not set is as for the application.</summary>
public sealed class RegisteredServiceOptions
{
    /// <summary>The wire formats, as <see cref="EtcdRegistrationOptions.Layout"/>.</summary>
    public string? Layout { get; set; }

    /// <summary><see cref="Layout"/> as a list; the two are one setting.</summary>
    public IReadOnlyList<string>? Layouts
    {
        get => Layout is null ? null : LayoutList.Split(Layout);
        set => Layout = value is null ? null : LayoutList.Join(value);
    }

    /// <summary>
    /// The names of the endpoints that serve it. Default: all but those with names like <c>Admin</c> or <c>Metrics</c> that
    /// <see cref="EtcdRegistrationOptions.Endpoints"/> does not name. Two of one scheme and protocol have to be chosen between, here or there.
    /// </summary>
    public IList<string> Endpoints { get; } = [];

    /// <summary>The weight, as <see cref="EtcdRegistrationOptions.Weight"/>.</summary>
    public int? Weight { get; set; }

    /// <summary>The version, as <see cref="EtcdRegistrationOptions.Version"/>.</summary>
    public string? Version { get; set => field = value is "" ? null : value; }

    /// <summary>Labels beside those of the application.</summary>
    public IList<string> Tags { get; } = [];

    /// <summary>Metadata beside that of the application; wins over it.</summary>
    public IDictionary<string, string> Metadata { get; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
