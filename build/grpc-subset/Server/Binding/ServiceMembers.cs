using System.Diagnostics.CodeAnalysis;

namespace Grpc.AspNetCore.Server.Binding;

internal static class ServiceMembers
{
    /// <summary>What trimming must leave of a service: its constructors, and the methods that calls are bound to.</summary>
    public const DynamicallyAccessedMemberTypes Needed
        = DynamicallyAccessedMemberTypes.PublicConstructors | DynamicallyAccessedMemberTypes.PublicMethods | DynamicallyAccessedMemberTypes.NonPublicMethods;
}
