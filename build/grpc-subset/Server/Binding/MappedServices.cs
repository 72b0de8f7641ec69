namespace Grpc.AspNetCore.Server.Binding;

/// <summary>The names of the services that were mapped, for each gets its own answer to unknown methods once.</summary>
internal sealed class MappedServices
{
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    public bool IsEmpty => _names.Count == 0;

    public bool Add(string serviceName) => _names.Add(serviceName);
}
