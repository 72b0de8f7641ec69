using Google.Protobuf;

namespace Discovery.Etcd.Transport;

/// <summary>One method of etcd's gRPC API.</summary>
/// <param name="Path">The HTTP/2 path.</param>
/// <param name="Parser">Reads its responses.</param>
internal sealed record EtcdMethod<TRequest, TResponse>(string Path, MessageParser<TResponse> Parser)
    where TRequest : IMessage<TRequest>
    where TResponse : IMessage<TResponse>
{
    /// <summary>The short name that errors and logs use, e.g. <c>Range</c>.</summary>
    public string Name { get; } = Path[(Path.LastIndexOf('/') + 1)..];
}
