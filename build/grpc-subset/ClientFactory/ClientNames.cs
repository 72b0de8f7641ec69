namespace Grpc.Net.ClientFactory;

/// <summary>Which type each registered name belongs to; kept while services are registered.</summary>
internal sealed class ClientNames
{
    private readonly Dictionary<string, Type> _types = new(StringComparer.Ordinal);

    public bool Has(string name) => _types.ContainsKey(name);

    /// <exception cref="InvalidOperationException">The name belongs to another type.</exception>
    public void Reserve(string name, Type type)
    {
        if (_types.TryGetValue(name, out var other) && other != type)
        {
            throw new InvalidOperationException(
                $"The gRPC client factory already has a registered client with the name '{name}', bound to the type '{other.FullName}'. "
                + $"Client names are computed based on the type name without considering the namespace ('{other.Name}'). "
                + "Use an overload of AddGrpcClient that accepts a string and provide a unique name to resolve the conflict.");
        }

        _types[name] = type;
    }
}
