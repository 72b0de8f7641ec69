namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>See <see cref="SettingShape"/>.</summary>
internal enum SettingKind
{
    Any,
    Value,
    Time,
    List,
    Section,
    Named,
}
