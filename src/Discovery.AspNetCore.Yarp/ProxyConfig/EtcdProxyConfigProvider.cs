using System.Collections.Immutable;
using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.ProxyConfig;

/// <summary>Routes and clusters from the keys of a prefix, live.</summary>
internal sealed partial class EtcdProxyConfigProvider : IProxyConfigProvider, IDisposable
{
    /// <summary>
    /// How long changes are collected after one was published. The proxy reads all of its configuration again for each, which a script that
    /// writes hundreds of keys must not make it do for every one.
    /// </summary>
    private static readonly TimeSpan ChangeInterval = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(5);

    private readonly EtcdClient _client;
    private readonly string _prefix;
    private readonly TimeSpan _readyTimeout;
    private readonly ProxyDocuments _documents;
    private readonly OtherProviders _others;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What stands in etcd, with ids that others may have too.</summary>
    private EtcdProxyConfig _found = new(0, [], []);
    private volatile EtcdProxyConfig _current;
    private CancellationTokenSource _replaced = new();
    private ImmutableHashSet<string> _clashes = [];
    private IDisposable? _othersChanged;
    private volatile EtcdException? _problem;
    private bool _isStarted;
    private bool _isDisposed;

    /// <summary>Prepares; nothing is asked of etcd before the proxy asks for its configuration.</summary>
    public EtcdProxyConfigProvider(
        EtcdClient client, string prefix, TimeSpan readyTimeout, DocumentCheck check, IServiceProvider services, TimeProvider time, ILogger logger)
    {
        _client = client;
        _prefix = prefix;
        _readyTimeout = readyTimeout;
        _documents = new ProxyDocuments(prefix, check, logger);
        _others = new OtherProviders(this, services);
        _time = time;
        _logger = logger;
        _current = new EtcdProxyConfig(0, [], [], _replaced.Token);
    }

    /// <summary>What the proxy goes by now. Never waits.</summary>
    public IProxyConfig Current => _current;

    public IProxyConfig GetConfig()
    {
        CancellationToken stop;
        lock (_gate)
        {
            if (_isStarted || _isDisposed)
            {
                return _current;
            }

            _isStarted = true;
            stop = _stop.Token;
        }

        _ = Detached.Run(() => FollowAsync(stop));

        // This is the proxy's first load, and it holds up the application's start: requests that come right after it are to find their routes.
        if (!_ready.Task.Wait(_readyTimeout))
        {
            Log.NotReady(_logger, _prefix, _readyTimeout.TotalSeconds, _problem?.Message);
        }

        return _current;
    }

    public void Dispose()
    {
        lock (_gate)
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
            _othersChanged?.Dispose();
            _replaced.Dispose();
        }

        _stop.Cancel();
        _stop.Dispose();
        _ready.TrySetResult();
    }

    private async Task FollowAsync(CancellationToken stop)
    {
        var options = new EtcdFollowOptions { OnStatusChanged = status => _problem = status.Error };
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await foreach (var snapshot in _client.FollowAsync(_prefix, options, stop).ConfigureAwait(false))
                {
                    var found = await _documents.ReadAsync(snapshot, stop).ConfigureAwait(false);
                    lock (_gate)
                    {
                        _found = found;
                        Publish();
                    }

                    _ready.TrySetResult();

                    // What comes meanwhile is skipped: a slow reader gets the newest.
                    await Task.Delay(ChangeInterval, _time, stop).ConfigureAwait(false);
                }

                // The client was disposed.
                return;
            }
            catch (Exception e) when (stop.IsCancellationRequested || (e as ObjectDisposedException)?.ObjectName == typeof(EtcdClient).FullName)
            {
                // The application stops, or was disposed without a stop.
                return;
            }
            catch (Exception e)
            {
                // Another provider is somebody else's code and may throw anything. That must not end the following for good.
                Log.Unexpected(_logger, _prefix, e);
            }

            await Task.Delay(RetryDelay, _time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Hands out what was found, but for ids that the proxy has from elsewhere. The lock is held.</summary>
    private void Publish()
    {
        if (_isDisposed)
        {
            return;
        }

        var others = _others.Read();
        _othersChanged?.Dispose();
        _othersChanged = others.Changed.RegisterChangeCallback(static p => _ = ((EtcdProxyConfigProvider)p!).PublishLaterAsync(), this);
        SayClashes(others);
        var replacing = new CancellationTokenSource();
        var config = _found.Without(others, replacing.Token);
        if (config.HasSame(_current))
        {
            replacing.Dispose();
            return;
        }

        _current = config;

        // Asynchronously, for the proxy reads all of its configuration in the callback.
        _ = Interlocked.Exchange(ref _replaced, replacing).CancelAsync();
    }

    /// <summary>
    /// Publishes anew, apart from the callback that asks for it, whose caller may hold locks of its own. Nobody waits for this, and a change of the
    /// other providers is announced once: it is tried until it succeeds.
    /// </summary>
    private async Task PublishLaterAsync()
    {
        for (var pause = ChangeInterval; ; pause = RetryDelay)
        {
            await Task.Delay(pause, _time).ConfigureAwait(false);
            try
            {
                lock (_gate)
                {
                    Publish();
                }

                return;
            }
            catch (Exception e)
            {
                Log.Unexpected(_logger, _prefix, e);
            }
        }
    }

    private void SayClashes(OtherIds others)
    {
        var clashes = _found.Routes.Select(static r => r.RouteId).Where(others.Routes.Contains).Select(id => $"{_prefix}routes/{id}")
            .Concat(_found.Clusters.Select(static c => c.ClusterId).Where(others.Clusters.Contains).Select(id => $"{_prefix}clusters/{id}"))
            .ToImmutableHashSet(StringComparer.Ordinal);
        foreach (var key in clashes.Except(_clashes))
        {
            Log.Clash(_logger, ForeignText.Show(key));
        }

        _clashes = clashes;
    }

    private static partial class Log
    {
        [LoggerMessage(4107, LogLevel.Error, "The document {Key} is left out of the proxy's configuration: its id is there already, from appsettings.json or another provider.")]
        public static partial void Clash(ILogger logger, string key);

        [LoggerMessage(4108, LogLevel.Warning, "The proxy has no routes and clusters of {Prefix} until etcd can be asked; there was no answer within {Seconds:0.###} s. {Problem}")]
        public static partial void NotReady(ILogger logger, string prefix, double seconds, string? problem);

        [LoggerMessage(4109, LogLevel.Error, "Following {Prefix} failed unexpectedly and is soon begun again. Until then the proxy goes on with the routes and clusters that it has.")]
        public static partial void Unexpected(ILogger logger, string prefix, Exception exception);
    }
}
