namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>See <see cref="SettingShape"/>.</summary>
internal enum SettingKind
{
    Any,
    Value,
    Number,
    Time,
    List,
    Section,
    Named,
}
