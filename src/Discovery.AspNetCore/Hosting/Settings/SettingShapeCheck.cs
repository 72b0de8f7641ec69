using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>
/// Finds settings that are written in another shape than the binder reads, which would drop them without a word. The value is shown where the setting
/// is a number, a switch, a name or a time alone, and where it cannot be a password: any other may be one, also where none is looked for.
/// </summary>
internal static class SettingShapeCheck
{
    /// <summary>What is wrong in a section and below it; each message names the setting and a valid value.</summary>
    public static IEnumerable<string> Find(IConfigurationSection section, SettingShape shape) => shape.Kind switch
    {
        SettingKind.Value => CheckValue(section, "a"),
        SettingKind.Number => [.. CheckValue(section, shape.Valid!.Example), .. CheckEmpty(section, shape.Valid!)],
        SettingKind.Time => [.. CheckValue(section, shape.Valid!.Example), .. CheckEmpty(section, shape.Valid!), .. CheckTime(section, shape.Valid!)],
        SettingKind.List => CheckList(section),
        SettingKind.Section => CheckSection(section, shape),
        SettingKind.Named => CheckNamed(section, shape),
        _ => [],
    };

    /// <summary>What cannot be read in a section and below it, after the binder has failed for one of them.</summary>
    public static IEnumerable<string> FindUnreadable(IConfigurationSection section, SettingShape shape) => shape switch
    {
        { Valid: { } valid } => section.Value is { Length: > 0 } value && !valid.CanRead(value) ? [$"{section.Path} is '{value}'; it must be {valid.Description}."] : [],
        { Kind: SettingKind.Section or SettingKind.Named } => section.GetChildren().SelectMany(c => shape.Find(c.Key) is { } known ? FindUnreadable(c, known) : []),
        _ => [],
    };

    private static IEnumerable<string> CheckValue(IConfigurationSection setting, string example)
        => setting.GetChildren().FirstOrDefault() is { } child
            ? [$"{setting.Path} has settings of its own, e.g. {ShownEntry(child)}; it must be one value, e.g. {setting.Path} to '{example}'."]
            : [];

    // The binder takes the default then, though somebody meant to set something, as by a variable of the environment that is not set. A null of JSON stays one.
    private static IEnumerable<string> CheckEmpty(IConfigurationSection setting, ValidValue valid)
        => setting.Value is "" && !setting.GetChildren().Any() ? [$"{setting.Path} is ''; it must be {valid.Description}, or be left out."] : [];

    // The binder takes it for days, which few mean: "ReadyTimeout": 1 would be a valid day, and 24:00:00 would be 24 of them.
    private static IEnumerable<string> CheckTime(IConfigurationSection setting, ValidValue valid)
    {
        if (long.TryParse(setting.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) && number != 0)
        {
            return number < 0
                ? [$"{setting.Path} is '{setting.Value}', which would be days, and less than none; it must be {valid.Description}."]
                : [$"{setting.Path} is '{setting.Value}', which would be days: write {Example(number)}, or {setting.Value.Trim()}.00:00:00 where days are meant."];
        }

        return setting.Value?.Split(':') is [var first, _, _] && int.TryParse(first, NumberStyles.Integer, CultureInfo.InvariantCulture, out var hours)
            && TimeSpan.TryParse(setting.Value, CultureInfo.InvariantCulture, out var time) && time.Days != 0
            ? [string.Create(CultureInfo.InvariantCulture, $"{setting.Path} is '{setting.Value}', which would be {hours} days: write {TimeSpan.FromHours(hours):c} for {hours} hours.")]
            : [];
    }

    // Nobody sets such a time to minutes and few to 100 s, but many other libraries take milliseconds.
    private static string Example(long number)
    {
        var seconds = number < 86_400 ? $"{TimeSpan.FromSeconds(number):c} for {number} s" : null;
        var milliseconds = number is >= 100 and < 86_400_000 ? $"{Shown(TimeSpan.FromMilliseconds(number))} for {number} ms" : null;
        return (milliseconds, seconds) switch
        {
            (null, null) => "a time as 00:00:05",
            ({ } ms, { } s) => $"{ms}, {s}",
            var (ms, s) => ms ?? s!,
        };

        static string Shown(TimeSpan time)
            => time.ToString(time.Ticks % TimeSpan.TicksPerSecond == 0 ? "c" : @"hh\:mm\:ss\.FFF", CultureInfo.InvariantCulture);
    }

    private static IEnumerable<string> CheckList(IConfigurationSection setting)
        => setting.GetChildren()
            .Where(static c => !SettingList.IsEntry(c))
            .Take(1)
            .Select(c => $"{ShownEntry(c)} is no entry of a list; {setting.Path} must be an array of texts, or one text with commas, e.g. "
                + $"{setting.Path}:0 to 'a', or {setting.Path} to 'a,b'.");

    private static IEnumerable<string> CheckSection(IConfigurationSection section, SettingShape shape)
    {
        if (!string.IsNullOrEmpty(section.Value))
        {
            return [$"{section.Path} {Shown(section.Value)}; it is a section with settings of its own, e.g. {section.Path}:{Example(shape)}."];
        }

        var children = section.GetChildren().ToList();
        return IsList(children) && !shape.HasLongNames
            ? [$"{section.Path} is a list; it is a section with settings of its own, e.g. {section.Path}:{Example(shape)}."]
            : children.SelectMany(c => shape.Find(c.Key) is { } known ? Find(c, known) : []);
    }

    private static string Example(SettingShape section) => section.Children.Keys.FirstOrDefault(static k => k == "Enabled") ?? section.Children.Keys.First();

    private static IEnumerable<string> CheckNamed(IConfigurationSection section, SettingShape shape)
    {
        var example = shape.Each switch
        {
            { Kind: SettingKind.Section } each => $"e.g. {section.Path}:greeter:{each.Children.Keys.First()}",
            { Valid: { } valid } => $"each {valid.Description}: {section.Path}:{shape.ExampleName} to {valid.Example}",
            _ => $"e.g. {section.Path}:{shape.ExampleName} to a text",
        };
        if (!string.IsNullOrEmpty(section.Value))
        {
            return [$"{section.Path} {Shown(section.Value)}; its settings stand under names, {example}."];
        }

        var children = section.GetChildren().ToList();
        return IsList(children)
            ? [$"{section.Path} is a list, e.g. {ShownEntry(children[0])}; its settings stand under names, {example}."]
            : children.SelectMany(c => Find(c, shape.Each!));
    }

    /// <summary>The setting, with its value where that cannot be a password: too short for one, a word of a switch, or an address without a user.</summary>
    private static string ShownEntry(IConfigurationSection setting)
        => setting.Value is { } value && IsHarmless(value) ? $"{setting.Path} '{value}'" : setting.Path;

    private static string Shown(string value) => IsHarmless(value) ? $"is '{value}'" : "has a value";

    private static bool IsHarmless(string value)
        => value.Length <= 3
            || value.ToUpperInvariant() is "TRUE" or "FALSE" or "NONE" or "NULL" or "DEFAULT" or "ENABLED" or "DISABLED"
            || (Uri.TryCreate(value, UriKind.Absolute, out var uri) && uri is { Scheme: "http" or "https", UserInfo: "", PathAndQuery: "/", Fragment: "" });

    private static bool IsList(List<IConfigurationSection> children)
        => children.Count > 0 && children[0].Key == "0" && children.TrueForAll(static c => SettingList.IsIndex(c.Key));
}
