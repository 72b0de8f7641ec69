using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;

namespace Discovery.Etcd.Tests;

/// <summary>The public surface is what users type: it changes on purpose only, together with PublicSurface.txt.</summary>
public sealed class PublicSurfaceTests
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly NullabilityInfoContext Nullability = new();

    [Fact]
    public async Task The_public_surface_is_the_listed_one()
    {
        var listed = Path.Combine(AppContext.BaseDirectory, "PublicSurface.txt");
        var actual = Print(typeof(EtcdClient).Assembly);
        if (await File.ReadAllTextAsync(listed) != actual)
        {
            await File.WriteAllTextAsync(listed + ".actual", actual);
            Assert.Fail($"The public surface changed. If that is meant, replace test/Discovery.Etcd.Tests/PublicSurface.txt by {listed}.actual:\n{actual}");
        }
    }

    private static string Print(Assembly assembly)
    {
        var text = new StringBuilder();
        foreach (var type in assembly.GetExportedTypes().OrderBy(t => t.FullName, StringComparer.Ordinal))
        {
            text.Append(KindOf(type)).Append(' ').Append(type.FullName).Append('\n');
            foreach (var member in MembersOf(type).Order(StringComparer.Ordinal))
            {
                text.Append("  ").Append(member).Append('\n');
            }
        }

        return text.ToString();
    }

    private static string KindOf(Type type) => type switch
    {
        { IsEnum: true } => "enum",
        { IsValueType: true } => "struct",
        { IsInterface: true } => "interface",
        { IsAbstract: true, IsSealed: true } => "static class",
        { IsSealed: true } => "sealed class",
        _ => "class",
    };

    private static IEnumerable<string> MembersOf(Type type)
    {
        if (type.IsEnum)
        {
            return Enum.GetNames(type).Select(n => $"{n} = {(int)Enum.Parse(type, n)}");
        }

        // What the compiler adds to records is not typed by anybody.
        return type.GetMembers(Declared)
            .Where(m => m.GetCustomAttribute<CompilerGeneratedAttribute>() is null || m is PropertyInfo)
            .Select(Describe)
            .OfType<string>();
    }

    private static string? Describe(MemberInfo member) => member switch
    {
        ConstructorInfo { IsPublic: true } c => $"new({Parameters(c)})",
        PropertyInfo p when p.GetMethod is { IsPublic: true } get =>
            $"{(get.IsStatic ? "static " : "")}{Name(p.PropertyType, Nullability.Create(p))} {p.Name} {{ get; {SetterOf(p)}}}",
        EventInfo e => $"event {Name(e.EventHandlerType!, Nullability.Create(e))} {e.Name}",
        MethodInfo { IsPublic: true, IsSpecialName: false, Name: not ("ToString" or "Equals" or "GetHashCode" or "Deconstruct") } m =>
            $"{(m.IsStatic ? "static " : "")}{Name(m.ReturnType, Nullability.Create(m.ReturnParameter))} {m.Name}({Parameters(m)})",
        _ => null,
    };

    private static string SetterOf(PropertyInfo property) => property.SetMethod switch
    {
        { IsPublic: true } set when set.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) => "init; ",
        { IsPublic: true } => "set; ",
        _ => "",
    };

    private static string Parameters(MethodBase method) => string.Join(
        ", ",
        method.GetParameters().Select(p => $"{Name(p.ParameterType, Nullability.Create(p))} {p.Name}{(p.HasDefaultValue ? $" = {p.DefaultValue ?? "default"}" : "")}"));

    private static string Name(Type type, NullabilityInfo nullability)
    {
        if (Nullable.GetUnderlyingType(type) is { } underlying)
        {
            return underlying.Name + "?";
        }

        var name = type.IsGenericType
            ? $"{type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)]}<{string.Join(", ", type.GetGenericArguments().Select((t, i) => Name(t, nullability.GenericTypeArguments[i])))}>"
            : type.IsArray ? Name(type.GetElementType()!, nullability.ElementType!) + "[]" : type.Name;
        return nullability.ReadState == NullabilityState.Nullable && !type.IsValueType ? name + "?" : name;
    }
}
