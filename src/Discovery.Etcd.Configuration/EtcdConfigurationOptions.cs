using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.Etcd.Configuration;

/// <summary>How configuration from etcd is loaded.</summary>
public sealed class EtcdConfigurationOptions
{
    /// <summary>
    /// Whether an application may start when etcd cannot be asked: the configuration is then empty, or the last known one of
    /// <see cref="SnapshotDirectory"/>, and fills when etcd answers. Default: <see langword="false"/>, loading fails.
    /// </summary>
    public bool Optional { get; set; }

    /// <summary>
    /// How long the first load waits for etcd. Default: 10 s; between 10 ms and 10 minutes. Where it may go on without etcd, it waits only
    /// until etcd is known to be away.
    /// </summary>
    public TimeSpan ReadyTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// A directory for the last known state, from which an application starts while etcd is away, though it is not <see cref="Optional"/>. Default:
    /// <see langword="null"/>, nothing is written. The files hold all values in clear, secrets too, and can be read by the application's
    /// user alone.
    /// </summary>
    public string? SnapshotDirectory { get; set; }

    /// <summary>
    /// The section with the client's settings, in the configuration built so far. Default: <c>Etcd</c>; that of another cluster is e.g.
    /// <c>Etcd:Clusters:dc2</c>. Without endpoints there, the connection string of the section's last name is taken.
    /// </summary>
    public string Section { get; set; } = "Etcd";

    /// <summary>Changes what was read from <see cref="Section"/>. Default: nothing.</summary>
    public Action<EtcdClientOptions>? ConfigureClient { get; set; }

    /// <summary>
    /// Where to log. Default: nowhere, for a configuration is there before the application's own logging; warnings and errors then go where
    /// <see cref="OnProblem"/> says. Not disposed.
    /// </summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    /// <summary>
    /// Called for each problem that is logged as a warning or an error, on any thread, one call after another, and never with a value. Default:
    /// where <see cref="LoggerFactory"/> is not set either, one line on the standard error. An empty callback keeps it silent.
    /// </summary>
    public Action<EtcdConfigurationProblem>? OnProblem { get; set; }

    internal void Validate()
    {
        List<string> failures = [];
        if (ReadyTimeout < TimeSpan.FromMilliseconds(10) || ReadyTimeout > TimeSpan.FromMinutes(10))
        {
            failures.Add($"{nameof(EtcdConfigurationOptions)}.{nameof(ReadyTimeout)} is {ReadyTimeout}; it must be between 10 ms and 10 minutes, e.g. 00:00:10.");
        }

        if (string.IsNullOrWhiteSpace(Section))
        {
            failures.Add($"{nameof(EtcdConfigurationOptions)}.{nameof(Section)} is '{Section}'; it must be the path of a section, e.g. Etcd.");
        }

        if (failures.Count > 0)
        {
            throw new OptionsValidationException(nameof(EtcdConfigurationOptions), typeof(EtcdConfigurationOptions), failures);
        }
    }
}
