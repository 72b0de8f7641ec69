namespace Discovery.Etcd.Configuration;

/// <summary>Something that is wrong with configuration from etcd. The application goes on with what was known before.</summary>
public sealed record EtcdConfigurationProblem
{
    /// <summary>The prefix that was added.</summary>
    public required string Prefix { get; init; }

    /// <summary>The key in etcd that it is about; <see langword="null"/> where it is about none alone.</summary>
    public string? Key { get; init; }

    /// <summary>What is wrong, and what stands instead. Without values.</summary>
    public required string Message { get; init; }

    /// <summary>The failure behind it, if there is one.</summary>
    public Exception? Exception { get; init; }
}
