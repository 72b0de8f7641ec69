using Discovery.Etcd.Protocol;
using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Tests.Support;

/// <summary>A test of what etcd does, whichever etcd it is. Each uses keys of its own.</summary>
public abstract class ConformanceTest(IServer server) : IDisposable
{
    internal RawClient Client { get; } = new(server.Endpoint);

    internal string Endpoint => server.Endpoint;

    /// <summary>The etcd that the server is, or follows.</summary>
    internal async Task<Version> VersionAsync() => Versions.Parse((await Client.StatusAsync()).Version);

    private string Prefix { get; } = $"/{Guid.NewGuid():N}/";

    /// <summary>Ends the connection.</summary>
    public void Dispose()
    {
        Client.Dispose();
        GC.SuppressFinalize(this);
    }

    internal string Key(string name) => Prefix + name;

    internal RangeRequest All() => new() { Key = Prefix.Bytes(), RangeEnd = Prefix.PrefixEnd() };

    internal WatchCreateRequest WatchAll() => new() { Key = Prefix.Bytes(), RangeEnd = Prefix.PrefixEnd() };

    internal IEnumerable<string> Names(RangeResponse response) => response.Kvs.Select(kv => Name(kv.Key));

    internal string Name(ByteString key) => key.ToStringUtf8()[Prefix.Length..];

    internal IEnumerable<string> Describe(IEnumerable<Event> events)
        => events.Select(e => $"{(e.Type == Event.Types.EventType.Put ? "put" : "delete")} {Name(e.Kv.Key)} {e.Kv.Value.ToStringUtf8()}".TrimEnd());
}
