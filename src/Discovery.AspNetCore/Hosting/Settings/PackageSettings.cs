namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>A section under <c>Etcd</c> that another package of this library reads, once it is added.</summary>
/// <param name="Name">The section's name.</param>
/// <param name="Shape">What stands in it.</param>
internal sealed record PackageSettings(string Name, SettingShape Shape);
