using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Reflection;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.ClientFactory;

namespace Grpc.Subset.Tests;

/// <summary>
/// PublicSurface.txt lists what the subset offers. With the subset nothing else may be public; with the official packages all of it must be
/// there, in the same shape: what compiles here compiles there.
/// </summary>
public sealed class PublicSurfaceTests
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly NullabilityInfoContext Nullability = new();

    [Fact]
    public async Task All_that_is_listed_is_there_and_the_subset_has_nothing_else()
    {
        var listed = Path.Combine(AppContext.BaseDirectory, "PublicSurface.txt");
        var expected = await File.ReadAllLinesAsync(listed);
        var actual = Types().SelectMany(Describe).Order(StringComparer.Ordinal).Distinct(StringComparer.Ordinal).ToArray();
        var isSubset = typeof(Metadata).Assembly == typeof(GrpcChannel).Assembly;
        if (isSubset && !expected.SequenceEqual(actual, StringComparer.Ordinal))
        {
            await File.WriteAllLinesAsync(listed + ".actual", actual);
            Assert.Fail(
                $"The public surface changed. If that is meant, replace PublicSurface.txt by {listed}.actual and run this against the official packages.");
        }

        Assert.Equal([], expected.Except(actual, StringComparer.Ordinal));
    }

    [Fact]
    public void What_is_missing_is_refused_where_it_is_given()
    {
        var marshaller = Marshallers.Create<string>((_, _) => { }, _ => "");

        Assert.Throws<ArgumentNullException>(() => Marshallers.Create<string>(null!, _ => ""));
        Assert.Throws<ArgumentNullException>(() => Marshallers.Create<string>((_, _) => { }, null!));
        Assert.Throws<ArgumentNullException>(() => new Method<string, string>(MethodType.Unary, null!, "m", marshaller, marshaller));
        Assert.Throws<ArgumentNullException>(() => new Method<string, string>(MethodType.Unary, "s", null!, marshaller, marshaller));
        Assert.Throws<ArgumentNullException>(() => new Method<string, string>(MethodType.Unary, "s", "m", null!, marshaller));
        Assert.Throws<ArgumentNullException>(() => new Method<string, string>(MethodType.Unary, "s", "m", marshaller, null!));
        Assert.Throws<ArgumentNullException>(() => new Interop.Interop.InteropClient((CallInvoker)null!));
        Assert.Throws<NotImplementedException>(() => new ClientDouble().Echo(new Interop.Message()));
    }

    // The assemblies of the official packages; with the subset they are one.
    private static IEnumerable<Type> Types()
        => new[] { typeof(Metadata), typeof(GrpcChannel), typeof(GrpcClientFactory), typeof(GrpcServiceOptions) }
            .Select(type => type.Assembly)
            .SelectMany(assembly => assembly.GetReferencedAssemblies()
                .Where(name => name.Name == "Grpc.Net.Common").Select(Assembly.Load).Append(assembly))
            .Distinct()
            .SelectMany(assembly => assembly.GetTypes())
            .Where(type => type.IsPublic || (type is { IsNestedPublic: true } or { IsNestedFamORAssem: true } && type.DeclaringType!.IsPublic));

    private static IEnumerable<string> Describe(Type type)
    {
        var name = Name(type);
        yield return $"{name}: {KindOf(type)} {string.Join(", ", type.GetInterfaces().Select(Name).Order(StringComparer.Ordinal))}{Constraints(type.GetGenericArguments())}";
        if (typeof(Delegate).IsAssignableFrom(type))
        {
            yield return $"{name}: {Method(type.GetMethod("Invoke")!)}";
            yield break;
        }

        foreach (var member in type.GetMembers(Declared).Select(Describe).OfType<string>())
        {
            yield return $"{name}: {member}";
        }
    }

    private static string KindOf(Type type) => type switch
    {
        { IsEnum: true } => "enum",
        { IsValueType: true } => "struct",
        { IsInterface: true } => "interface",
        { IsAbstract: true, IsSealed: true } => "static class",
        { IsAbstract: true } => "abstract class",
        { IsSealed: true } => "sealed class",
        _ => "class",
    };

    // The constructor of CallOptions has fewer optional parameters here; all calls that compile, compile there.
    private static string? Describe(MemberInfo member) => member switch
    {
        ConstructorInfo c when IsVisible(c) && c.DeclaringType != typeof(CallOptions) => $"{Modifiers(c)}new({Parameters(c)})",
        MethodInfo { IsSpecialName: false } m when IsVisible(m) => Method(m),
        PropertyInfo p when IsVisible(p.GetMethod) || IsVisible(p.SetMethod)
            => $"{TypeOf(p.PropertyType, Nullability.Create(p))} {p.Name} {{ {Accessor("get", p.GetMethod)}{Accessor("set", p.SetMethod)}}}{Needs(p.CustomAttributes)}",
        FieldInfo { IsSpecialName: false, IsPublic: true } f
            => $"{TypeOf(f.FieldType, Nullability.Create(f))} {f.Name}{(f.IsLiteral ? $" = {f.GetRawConstantValue()}" : "")}",
        _ => null,
    };

    private static bool IsVisible(MethodBase? method) => method is { IsPublic: true } or { IsFamily: true } or { IsFamilyOrAssembly: true };

    private static string Modifiers(MethodBase method)
        => (method.IsPublic ? "" : "protected ")
            + (method.IsStatic && !method.IsConstructor ? "static " : "")
            + (method.IsAbstract ? "abstract " : method is { IsVirtual: true, IsFinal: false } ? "virtual " : "");

    private static string Accessor(string name, MethodInfo? accessor) => IsVisible(accessor) ? $"{Modifiers(accessor!)}{name}; " : "";

    private static string Method(MethodInfo method)
        => $"{Modifiers(method)}{TypeOf(method.ReturnType, Nullability.Create(method.ReturnParameter))} {method.Name}({Parameters(method)})"
            + Constraints(method.GetGenericArguments());

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(p =>
        $"{Needs(p.CustomAttributes)}{TypeOf(p.ParameterType, Nullability.Create(p))} {p.Name}"
        + (p.HasDefaultValue ? string.Create(CultureInfo.InvariantCulture, $" = {p.DefaultValue ?? "default"}") : "")));

    private static string Constraints(Type[] arguments) => string.Concat(arguments
        .Where(a => a.IsGenericParameter)
        .Select(a => $" where {Needs(a.CustomAttributes)}{a.Name}: {a.GenericParameterAttributes} {string.Join(", ", a.GetGenericParameterConstraints().Select(Name))}"));

    // What trimming has to keep: a difference would be a warning in one mode only. By name, for an assembly may have the attribute in itself.
    private static string Needs(IEnumerable<CustomAttributeData> attributes)
        => attributes.FirstOrDefault(a => a.AttributeType.Name == nameof(DynamicallyAccessedMembersAttribute)) is { } needed
            ? $"[{(DynamicallyAccessedMemberTypes)(int)needed.ConstructorArguments[0].Value!}] "
            : "";

    private static string TypeOf(Type type, NullabilityInfo nullability)
    {
        if (type.IsArray)
        {
            return TypeOf(type.GetElementType()!, nullability.ElementType!) + "[]" + Mark(type, nullability);
        }

        return type.IsGenericType && Nullable.GetUnderlyingType(type) is null
            ? $"{ShortName(type)}<{string.Join(", ", type.GetGenericArguments().Select((t, i) => TypeOf(t, nullability.GenericTypeArguments[i])))}>{Mark(type, nullability)}"
            : Name(type) + Mark(type, nullability);
    }

    private static string Mark(Type type, NullabilityInfo nullability)
        => type.IsValueType || type.IsGenericParameter || nullability.ReadState != NullabilityState.Nullable ? "" : "?";

    private static string ShortName(Type type) => $"{type.Namespace}.{type.Name}";

    private static string Name(Type type) => type switch
    {
        { IsGenericParameter: true } => type.Name,
        { IsNested: true } => $"{Name(type.DeclaringType!)}+{type.Name}",
        { IsGenericType: true } => $"{ShortName(type)}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>",
        _ => ShortName(type),
    };

    private sealed class ClientDouble : Interop.Interop.InteropClient;
}
