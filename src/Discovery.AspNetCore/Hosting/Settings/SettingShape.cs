using System.Diagnostics.CodeAnalysis;
using System.Reflection;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>How a setting is written: one value, a list of texts, or a section whose children have given names or any.</summary>
internal sealed class SettingShape
{
    private SettingShape(SettingKind kind) => Kind = kind;

    /// <summary>A single value.</summary>
    public static SettingShape Value { get; } = new(SettingKind.Value);

    /// <summary>A share of calls.</summary>
    public static SettingShape Percent { get; } = new(SettingKind.Number) { Valid = ValidValue.Percent };

    /// <summary>An array, or one text with commas.</summary>
    public static SettingShape List { get; } = new(SettingKind.List);

    /// <summary>A setting whose shape is not looked at.</summary>
    public static SettingShape Any { get; } = new(SettingKind.Any);

    public SettingKind Kind { get; }

    /// <summary>The children of a section, by name.</summary>
    public IReadOnlyDictionary<string, SettingShape> Children { get; private init; } = new Dictionary<string, SettingShape>();

    /// <summary>What stands under each of the names that the application chooses.</summary>
    public SettingShape? Each { get; private init; }

    /// <summary>An example of such a name.</summary>
    public string ExampleName { get; private init; } = "name";

    /// <summary>What may be written for a number, a switch, one of given names (none of which is ever empty) or a time, which is not a number alone.</summary>
    public ValidValue? Valid { get; private init; }

    /// <summary>Whether unknown children may be the rest of a name with colons, which may be a number.</summary>
    public bool HasLongNames { get; private init; }

    /// <summary>Names that the application chooses, each with a setting of one shape.</summary>
    public static SettingShape Named(SettingShape each, string exampleName = "name") => new(SettingKind.Named) { Each = each, ExampleName = exampleName };

    /// <summary>
    /// A section that is bound to an options type. Its own public properties are the children, but for those that code alone can set; those of types that are sections themselves
    /// must be given.
    /// </summary>
    public static SettingShape Section<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicProperties)] TOptions>(
        params (string Name, SettingShape Shape)[] sections)
        where TOptions : new()
    {
        var defaults = new TOptions();
        var children = typeof(TOptions).GetProperties(BindingFlags.Instance | BindingFlags.Public)
            .Where(static p => !typeof(Delegate).IsAssignableFrom(p.PropertyType))
            .ToDictionary(static p => p.Name, p => Of(p, defaults), StringComparer.OrdinalIgnoreCase);
        foreach (var (name, shape) in sections)
        {
            children[name] = shape;
        }

        return new SettingShape(SettingKind.Section) { Children = children };
    }

    /// <summary>This section, for names that may have colons.</summary>
    public SettingShape WithLongNames() => new(Kind) { Children = Children, HasLongNames = true };

    /// <summary>The child of this name, or null when there cannot be one.</summary>
    public SettingShape? Find(string name) => Kind switch
    {
        SettingKind.Named => Each,
        SettingKind.Section => Children.GetValueOrDefault(name),
        _ => null,
    };

    private static SettingShape Of(PropertyInfo property, object defaults)
    {
        var type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
        return type switch
        {
            _ when type == typeof(string) => Value,
            _ when type.IsPrimitive || type.IsEnum => new(SettingKind.Number) { Valid = ValidValue.Of(type, property.GetValue(defaults)) },
            _ when type == typeof(TimeSpan) => new(SettingKind.Time) { Valid = ValidValue.Of(type, property.GetValue(defaults)) },
            _ when type == typeof(IList<string>) || type == typeof(IReadOnlyList<string>) => List,
            _ when type == typeof(IDictionary<string, string>) => Named(Value),
            _ => Any,
        };
    }
}
