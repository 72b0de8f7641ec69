using System.Collections.Immutable;
using Discovery.Etcd.Configuration.Documents;
using Microsoft.Extensions.Configuration;

namespace Discovery.Etcd.Configuration;

/// <summary>
/// The settings under a prefix. The first load begins to follow the prefix; loading again changes nothing, for they are up to date. Ends when it is
/// disposed, as a configuration does that is disposed or built anew.
/// </summary>
internal sealed class EtcdConfigurationProvider : ConfigurationProvider, IDisposable
{
    private static readonly TimeSpan DisposalLimit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan PauseAfterDefect = TimeSpan.FromSeconds(5);

    private readonly string _prefix;
    private readonly EtcdConfigurationOptions _options;
    private readonly EtcdClientOptions _clientOptions;
    private readonly ProblemReporter _problems;
    private readonly DocumentSet _documents;
    private readonly LastKnownFile? _file;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _away = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _refused = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _statusGate = new();
    private Task _following = Task.CompletedTask;
    private volatile Exception? _lastError;
    private string _fallback = "there is none until then";
    private int _isLoaded;
    private bool _hasStatus;
    private bool _isAway;
    private int _skippedKeys;
    private int _reloadingThread;

    public EtcdConfigurationProvider(string prefix, EtcdConfigurationOptions options, EtcdClientOptions clientOptions)
    {
        _prefix = prefix;
        _options = options;
        _clientOptions = clientOptions;
        _problems = new ProblemReporter(prefix, options);
        _documents = new DocumentSet(prefix, _problems.KeyRejected);
        if (options.SnapshotDirectory is { Length: > 0 } directory)
        {
            _file = new LastKnownFile(directory, options.Section, prefix, _problems);
        }
    }

    public override void Load()
    {
        ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
        if (Interlocked.Exchange(ref _isLoaded, 1) != 0)
        {
            return;
        }

        var mayGoOn = ReadFile() || _options.Optional;
        var client = new EtcdClient(_clientOptions, _options.LoggerFactory, section: _options.Section);
        _following = Detached.Run(() => FollowAsync(client));

        // Where it may go on without etcd, it need not wait longer than until etcd is known to be away; and nowhere for what no waiting changes.
        Task.WaitAny([_first.Task, mayGoOn ? _away.Task : _refused.Task], _options.ReadyTimeout);
        if (_first.Task.IsCompleted)
        {
            return;
        }

        if (mayGoOn)
        {
            OnNothingHeard(client);
            return;
        }

        Dispose();
        var within = _refused.Task.IsCompleted
            ? ""
            : $" within {_options.ReadyTimeout.TotalSeconds:0.###} s ({nameof(EtcdConfigurationOptions)}.{nameof(EtcdConfigurationOptions.ReadyTimeout)})";
        throw new InvalidOperationException(
            $"The configuration under '{_prefix}' could not be read{within}, from {string.Join(", ", client.Endpoints)} "
            + $"({_options.Section}:Endpoints). {_lastError?.Message ?? "etcd did not answer yet."} An application that is to start without it sets "
            + $"{nameof(EtcdConfigurationOptions.Optional)}, or a {nameof(EtcdConfigurationOptions.SnapshotDirectory)} for the last known one.",
            _lastError);
    }

    public override string ToString() => $"{nameof(EtcdConfigurationProvider)} for '{_prefix}'";

    public void Dispose()
    {
        _stop.Cancel();

        // Whoever disposes the configuration in a handler of its change is waited for itself.
        if (Volatile.Read(ref _reloadingThread) != Environment.CurrentManagedThreadId)
        {
            Task.WaitAny([_following], DisposalLimit);
        }
    }

    /// <summary>
    /// Begins with what was known last: it stands while etcd is away, and single documents of it where etcd has one that cannot be used.
    /// </summary>
    private bool ReadFile()
    {
        if (_file?.Read(out var writtenAt) is not { } listing)
        {
            return false;
        }

        var items = ImmutableSortedDictionary.CreateBuilder<string, EtcdKeyValue>(StringComparer.Ordinal);
        foreach (var record in listing.Items)
        {
            items[record.Key] = record;
        }

        _documents.Update(items.ToImmutable());
        if (_documents.Records.Count == 0)
        {
            return false;
        }

        Data = _documents.Merge();
        _fallback = $"that of {_file.Path} stands, written {writtenAt:u}";
        return true;
    }

    private async Task FollowAsync(EtcdClient client)
    {
        await using var owned = client.ConfigureAwait(false);
        var options = new EtcdFollowOptions { OnStatusChanged = status => OnStatusChanged(client, status) };
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await foreach (var snapshot in client.FollowAsync(_prefix, options, _stop.Token).ConfigureAwait(false))
                {
                    Apply(snapshot);
                }
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                // Disposed.
            }
            catch (Exception e)
            {
                // A defect must not end the reloading for good.
                _problems.LoopFailed(e);
                await Task.Delay(PauseAfterDefect, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private void Apply(EtcdPrefixSnapshot snapshot)
    {
        _documents.Update(snapshot.Items);
        if (snapshot.SkippedKeys > _skippedKeys)
        {
            _problems.KeysSkipped(snapshot.SkippedKeys);
        }

        _skippedKeys = snapshot.SkippedKeys;
        var settings = _documents.Merge();
        var differs = !HasSame(settings);

        // Swapped whole, and not again before the handlers of this change are done: what they bind is of one revision.
        Data = settings;
        _fallback = "the last one stands";
        var records = _documents.Records;
        if (records.Count == 0)
        {
            _problems.Empty();
        }

        if (differs || !_first.Task.IsCompleted)
        {
            _problems.Loaded(settings.Count, snapshot.Revision);
            if (differs)
            {
                Announce();
            }
        }

        // After all that belongs to it: a load that waits for the first settings must not return before they were announced, or who subscribes
        // then would hear of a change that there was not.
        _first.TrySetResult();

        // To start from nothing would be worse than to start from what was there before.
        if (records.Count > 0)
        {
            _file?.Write(new EtcdListing { Items = records, Revision = snapshot.Revision, ClusterId = snapshot.ClusterId });
        }
    }

    /// <summary>Whether it is a person who has to change something: a password, the rights of a user, a certificate.</summary>
    private static bool IsLasting(EtcdException? error) => error?.Reason is EtcdErrorReason.PermissionDenied or EtcdErrorReason.AuthenticationRequired
        or EtcdErrorReason.AuthenticationFailed or EtcdErrorReason.TlsFailed;

    private bool HasSame(Dictionary<string, string?> settings) =>
        Data.Count == settings.Count
        && settings.All(s => Data.TryGetValue(s.Key, out var known) && string.Equals(known, s.Value, StringComparison.Ordinal));

    private void Announce()
    {
        Volatile.Write(ref _reloadingThread, Environment.CurrentManagedThreadId);
        try
        {
            OnReload();
        }
        catch (Exception e)
        {
            _problems.HandlerFailed(e);
        }
        finally
        {
            Volatile.Write(ref _reloadingThread, 0);
        }
    }

    private void OnStatusChanged(EtcdClient client, EtcdFollowStatus status)
    {
        lock (_statusGate)
        {
            _hasStatus = true;
            if (status.Kind == EtcdFollowStatusKind.Unavailable)
            {
                _lastError = status.Error;
                BeginOutageLockHeld(client, status.Error);
            }
            else if (_isAway)
            {
                _isAway = false;
                var (level, length) = client.Outage.Over(this, TimeProvider.System.GetTimestamp());
                _problems.Available(level, length);
            }
        }

        if (status.Kind == EtcdFollowStatusKind.Unavailable)
        {
            _away.TrySetResult();
            if (IsLasting(status.Error))
            {
                _refused.TrySetResult();
            }
        }
    }

    /// <summary>The limit of the first load passed without a word of etcd.</summary>
    private void OnNothingHeard(EtcdClient client)
    {
        lock (_statusGate)
        {
            if (!_hasStatus)
            {
                BeginOutageLockHeld(client, cause: null);
            }
        }
    }

    private void BeginOutageLockHeld(EtcdClient client, Exception? cause)
    {
        if (!_isAway)
        {
            _isAway = true;
            _problems.Unavailable(client.Outage.Began(this, TimeProvider.System.GetTimestamp()), _fallback, cause);
        }
    }
}
