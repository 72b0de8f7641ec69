using System.Text;

namespace Discovery.Etcd;

/// <summary>One record as it stands, or stood, in etcd.</summary>
public sealed record EtcdKeyValue
{
    /// <summary>The key's bytes.</summary>
    public required ReadOnlyMemory<byte> KeyBytes
    {
        get;
        init
        {
            field = value;
            Key = Encoding.UTF8.GetString(value.Span);
        }
    }

    /// <summary>The key as text. Bytes that are not UTF-8 become U+FFFD.</summary>
    public string Key { get; private init; } = "";

    /// <summary>The value's bytes; empty for a deleted key.</summary>
    public required ReadOnlyMemory<byte> Value { get; init; }

    /// <summary>The revision at which the key was created.</summary>
    public required long CreateRevision { get; init; }

    /// <summary>The revision of the last change.</summary>
    public required long ModRevision { get; init; }

    /// <summary>How often the key was put since it was created; 0 for a deleted key.</summary>
    public required long Version { get; init; }

    /// <summary>The lease the key hangs on; 0 for none.</summary>
    public long LeaseId { get; init; }
}
