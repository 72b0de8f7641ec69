using Discovery.AspNetCore.Pools;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>All settings that this library reads.</summary>
internal static class KnownSettings
{
    /// <summary>The section of one service in <c>Etcd:Registration:Services</c>.</summary>
    public static SettingShape RegisteredService { get; } = SettingShape.Section<RegisteredServiceOptions>().WithLongNames();

    /// <summary>The section <c>Etcd:Registration</c>.</summary>
    public static SettingShape Registration { get; } = SettingShape.Section<EtcdRegistrationOptions>(
        (nameof(EtcdRegistrationOptions.Services), SettingShape.Named(RegisteredService)),
        (nameof(EtcdRegistrationOptions.Endpoints), SettingShape.Named(SettingShape.Section<RegisteredEndpointOptions>())),
        (nameof(EtcdRegistrationOptions.Health), SettingShape.Section<RegistrationHealthOptions>()));

    /// <summary>The section of one service in <c>Etcd:Discovery:Services</c>.</summary>
    public static SettingShape DiscoveredService { get; } = Discovery().WithLongNames();

    /// <summary>The section <c>Etcd:Discovery</c>.</summary>
    public static SettingShape DiscoverySection { get; } = Discovery(
        ("Services", SettingShape.Named(DiscoveredService)), ("Clients", SettingShape.Named(SettingShape.Section<ClientSettings>())));

    /// <summary>The section <c>Etcd</c> as a whole.</summary>
    /// <param name="packages">The sections that other packages of this library read.</param>
    public static SettingShape Etcd(IEnumerable<PackageSettings> packages) => EtcdSection(
    [
        ("Registration", Registration),
        ("Discovery", DiscoverySection),
        ("Clusters", SettingShape.Named(EtcdSection(("Registration", Registration)))),
        .. packages.Select(static p => (p.Name, p.Shape)),
    ]);

    private static SettingShape EtcdSection(params (string Name, SettingShape Shape)[] sections)
        => SettingShape.Section<EtcdClientOptions>([(nameof(EtcdClientOptions.Tls), SettingShape.Section<EtcdTlsOptions>()), .. sections]);

    private static SettingShape Discovery(params (string Name, SettingShape Shape)[] sections)
        => SettingShape.Section<EtcdDiscoveryOptions>(
        [
            (nameof(EtcdDiscoveryOptions.Ejection), SettingShape.Section<EjectionOptions>()),
            (nameof(EtcdDiscoveryOptions.ZoneSpillOver), SettingShape.Section<ZoneSpillOverOptions>()),
            (nameof(EtcdDiscoveryOptions.Select), SettingShape.Section<SelectOptions>()),
            (nameof(EtcdDiscoveryOptions.Split), SettingShape.Named(SettingShape.Percent, "v2")),
            .. sections,
        ]);
}
