using System.Diagnostics.CodeAnalysis;
using System.Reflection;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>How a setting is written: one value, a list of texts, or a section whose children have given names or any.</summary>
internal sealed class SettingShape
{
    private SettingShape(SettingKind kind) => Kind = kind;

    /// <summary>A single value.</summary>
    public static SettingShape Value { get; } = new(SettingKind.Value);

    /// <summary>A number, a switch or one of given names, none of which is ever empty.</summary>
    public static SettingShape Number { get; } = new(SettingKind.Number);

    /// <summary>A time, which is not written as a number alone.</summary>
    public static SettingShape Time { get; } = new(SettingKind.Time);

    /// <summary>An array, or one text with commas.</summary>
    public static SettingShape List { get; } = new(SettingKind.List);

    /// <summary>A setting whose shape is not looked at.</summary>
    public static SettingShape Any { get; } = new(SettingKind.Any);

    public SettingKind Kind { get; }

    /// <summary>The children of a section, by name.</summary>
    public IReadOnlyDictionary<string, SettingShape> Children { get; private init; } = new Dictionary<string, SettingShape>();

    /// <summary>What stands under each of the names that the application chooses.</summary>
    public SettingShape? Each { get; private init; }

    /// <summary>Whether unknown children may be the rest of a name with colons, which may be a number.</summary>
    public bool HasLongNames { get; private init; }

    /// <summary>Names that the application chooses, each with a setting of one shape.</summary>
    public static SettingShape Named(SettingShape each) => new(SettingKind.Named) { Each = each };

    /// <summary>
    /// A section that is bound to an options type. Its own public properties are the children, but for those that code alone can set; those of types that are sections themselves
    /// must be given.
    /// </summary>
    public static SettingShape Section<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicProperties)] TOptions>(
        params (string Name, SettingShape Shape)[] sections)
    {
        var children = typeof(TOptions).GetProperties(BindingFlags.Instance | BindingFlags.Public)
            .Where(static p => !typeof(Delegate).IsAssignableFrom(p.PropertyType))
            .ToDictionary(static p => p.Name, static p => Of(p.PropertyType), StringComparer.OrdinalIgnoreCase);
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

    private static SettingShape Of(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type switch
        {
            _ when type == typeof(string) => Value,
            _ when type.IsPrimitive || type.IsEnum => Number,
            _ when type == typeof(TimeSpan) => Time,
            _ when type == typeof(IList<string>) || type == typeof(IReadOnlyList<string>) => List,
            _ when type == typeof(IDictionary<string, string>) => Named(Value),
            _ => Any,
        };
    }
}
