using Microsoft.Extensions.Logging;

namespace Discovery.EmbeddedEtcd;

/// <summary>How an <see cref="EmbeddedEtcdServer"/> runs.</summary>
public sealed class EmbeddedEtcdOptions
{
    /// <summary>The port to listen on, on the loopback address only. Default: 0, a free port.</summary>
    public int Port { get; set; }

    /// <summary>The clock that leases and progress reports go by. Default: the system's; with a fake one, tests decide when a lease expires.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;

    /// <summary>Where to log, or <see langword="null"/> (the default) for nowhere; <c>AddEmbeddedEtcd</c> uses the application's logging.</summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    /// <summary>
    /// How many revisions of history are kept; what is older is compacted by itself, so that memory stays bounded. Default: 100,000,
    /// some 30 MB for small values. 0 keeps everything until a client or <see cref="EmbeddedEtcdServer.Compact"/> compacts it, as etcd does.
    /// </summary>
    public long RetainedRevisions { get; set; } = 100_000;

    /// <summary>How often a watch that asked for it is told the revision when it has no events. Default: 10 minutes, as in etcd. From 100 ms to a day.</summary>
    public TimeSpan WatchProgressInterval { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Lets <c>AddEmbeddedEtcd</c> run outside the environment Development. Default: <see langword="false"/>, because all data lives in
    /// one process and is lost with it.
    /// </summary>
    public bool AllowOutsideDevelopment { get; set; }

    /// <summary>
    /// Lets <c>AddEmbeddedEtcd</c> do nothing where an etcd is configured: a text or a list in <c>Etcd:Endpoints</c>, or the connection
    /// string <c>etcd</c>. Then no <see cref="EmbeddedEtcdServer"/> can be injected. An empty text in a later source, such as
    /// appsettings.Development.json, empties them. Default: <see langword="false"/>, the embedded etcd replaces whatever is configured.
    /// </summary>
    public bool SkipIfEndpointsConfigured { get; set; }

    internal void Validate()
    {
        if (Port is < 0 or > 65535)
        {
            throw new ArgumentOutOfRangeException(nameof(Port), Port, $"{nameof(EmbeddedEtcdOptions)}.{nameof(Port)} must be a port, e.g. 2379, or 0 for a free one.");
        }

        if (RetainedRevisions < 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(RetainedRevisions), RetainedRevisions, $"{nameof(EmbeddedEtcdOptions)}.{nameof(RetainedRevisions)} must be positive, e.g. 100000, or 0 to keep everything.");
        }

        if (WatchProgressInterval < TimeSpan.FromMilliseconds(100) || WatchProgressInterval > TimeSpan.FromDays(1))
        {
            throw new ArgumentOutOfRangeException(
                nameof(WatchProgressInterval), WatchProgressInterval, $"{nameof(EmbeddedEtcdOptions)}.{nameof(WatchProgressInterval)} must be from 100 ms to a day, e.g. 00:10:00.");
        }
    }
}
