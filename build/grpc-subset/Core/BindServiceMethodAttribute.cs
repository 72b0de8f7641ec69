using System.Diagnostics.CodeAnalysis;

namespace Grpc.Core;

/// <summary>Says which static method tells a <see cref="ServiceBinderBase"/> the methods of a generated service base.</summary>
[AttributeUsage(AttributeTargets.Class)]
public class BindServiceMethodAttribute(
    [DynamicallyAccessedMembers(BindServiceMethodAttribute.Needed)] Type bindType, string bindMethodName) : Attribute
{
    private const DynamicallyAccessedMemberTypes Needed = DynamicallyAccessedMemberTypes.PublicMethods
        | DynamicallyAccessedMemberTypes.NonPublicMethods | DynamicallyAccessedMemberTypes.PublicProperties;

    /// <summary>The type that has the method.</summary>
    [DynamicallyAccessedMembers(Needed)]
    public Type BindType { get; } = bindType;

    /// <summary>The name of the method.</summary>
    public string BindMethodName { get; } = bindMethodName;
}
