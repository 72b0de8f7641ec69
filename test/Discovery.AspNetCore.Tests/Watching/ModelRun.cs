using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Discovery.TestKit;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Watching;

/// <summary>
/// Drives a directory through steps on a <see cref="ModelEtcd"/>. Each snapshot must be the state of the revision it names, and after the
/// steps the directory must come to the state that stands.
/// </summary>
internal sealed class ModelRun : IAsyncDisposable
{
    private const string Prefix = "services/svc/";
    private static readonly TimeSpan RelistInterval = TimeSpan.FromMinutes(5);

    private readonly ModelEtcd _etcd = new();
    private readonly FakeTimeProvider _clock = new();
    private readonly ErrorLog _log = new();
    private readonly ServiceLister _lister;
    private readonly ServiceWatcher _watcher;
    private readonly Lock _gate = new();
    private readonly Dictionary<long, List<ImmutableSortedDictionary<string, EtcdKeyValue>>> _states = [];
    private ImmutableSortedDictionary<string, EtcdKeyValue> _now = ImmutableSortedDictionary<string, EtcdKeyValue>.Empty;
    private string? _problem;
    private int _marks;

    public ModelRun(TimeSpan holdDuration)
    {
        _etcd.Committed = (revision, records) =>
        {
            lock (_gate)
            {
                _now = records;
                (System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(_states, revision, out _) ??= []).Add(records);
            }
        };
        _etcd.Committed(_etcd.Revision, _now);
        _lister = new ServiceLister(_etcd, _clock);
        _watcher = new ServiceWatcher(
            "svc",
            new EtcdNamingLayout(null),
            new EtcdDiscoveryOptions { HoldDuration = holdDuration, RelistInterval = RelistInterval },
            _etcd,
            _lister,
            _clock,
            _log);
        _watcher.Feed.Published += Check;
    }

    /// <summary>Makes one step. Any number is one.</summary>
    public async Task StepAsync(int number)
    {
        var random = new Random(number);
        switch (random.Next(100))
        {
            case < 45:
                _etcd.Put(Key(random), Value(random));
                break;
            case < 65:
                _etcd.Delete(Key(random));
                break;
            case < 72:
                // Leases that end together; at times all of them.
                _etcd.Delete([.. Enumerable.Range(0, random.Next(2) == 0 ? 10 : 4).Select(_ => Key(random)).Distinct()]);
                break;
            case < 77:
                _etcd.Commit(isLost: false, Enumerable.Range(0, 3).Select(_ => Key(random)).Distinct().Select(k => (k, (byte[]?)Value(random))));
                break;
            case < 80:
                _etcd.Compact();
                break;
            case < 82:
                _etcd.Disconnect();
                break;
            case < 83:
                // As when a proxy lets no stream through: lists work.
                _etcd.Disconnect();
                _etcd.SayUnavailable();
                _clock.Advance(TimeSpan.FromSeconds(random.Next(6)));
                break;
            case < 87:
                _etcd.Connect();
                break;
            case < 89:
                Restore(random);
                break;
            case < 92:
                _etcd.Repeat();
                break;
            case < 94:
                _etcd.Progress();
                break;
            case < 95:
                _etcd.Reject();
                break;
            case < 96:
                _etcd.FailLists(random.Next(3));
                break;
            case < 97:
                _clock.Advance(RelistInterval);
                break;
            case < 98:
                await SettleByListsAsync();
                break;
            default:
                await SettleAsync();
                break;
        }
    }

    /// <summary>Waits until the directory has come to the state that stands, and follows it.</summary>
    /// <exception cref="InvalidOperationException">It does not, or something went wrong before.</exception>
    public Task SettleAsync()
    {
        _etcd.Connect();
        return ReachLatestAsync(() => _watcher.Status.IsConnected);
    }

    public async ValueTask DisposeAsync()
    {
        await _watcher.DisposeAsync();
    }

    private static string Key(Random random) => Prefix + random.Next(10).ToString(CultureInfo.InvariantCulture);

    private static byte[] Value(Random random) => random.Next(8) switch
    {
        0 => Encoding.UTF8.GetBytes("{\"Addr\":"),
        1 => [0xff, (byte)random.Next(256)],
        2 => Encoding.UTF8.GetBytes($$$"""{"Addr":"10.0.0.{{{random.Next(1, 9)}}}:80","Metadata":{"draining":true}}"""),
        var v => Encoding.UTF8.GetBytes($$$"""{"Op":0,"Addr":"10.0.0.{{{random.Next(1, 9)}}}:80","Metadata":{"version":"{{{v}}}"}}"""),
    };

    /// <summary>The instances of a state, written down independently of the code under test: address to version and draining.</summary>
    private static SortedDictionary<string, string> Expected(ImmutableSortedDictionary<string, EtcdKeyValue> records)
    {
        var result = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var ranks = new Dictionary<string, (bool Serves, long Revision)>(StringComparer.Ordinal);
        foreach (var record in records.Values)
        {
            var text = Encoding.Latin1.GetString(record.Value.Span);
            if (!text.EndsWith("}}", StringComparison.Ordinal))
            {
                continue;
            }

            var address = text[(text.IndexOf("10.", StringComparison.Ordinal))..(text.IndexOf(":80", StringComparison.Ordinal) + 3)];

            var isDraining = text.Contains("draining", StringComparison.Ordinal);
            var rank = (Serves: !isDraining, record.ModRevision);

            // Of several keys for one address the latest of those that do not drain counts, else the latest; of those of one revision, any.
            var isKnown = ranks.TryGetValue(address, out var known);
            if (isKnown && known == rank)
            {
                result[address] = isDraining ? "draining" : "*";
            }
            else if (!isKnown || known.CompareTo(rank) < 0)
            {
                ranks[address] = rank;
                result[address] = isDraining ? "draining" : text[^4].ToString();
            }
        }

        return result;
    }

    private static SortedDictionary<string, string> Present(ServiceSnapshot snapshot)
        => new(
            snapshot.ByAddress.Where(i => !snapshot.Held.ContainsKey(i.Key))
                .ToDictionary(i => i.Key, i => i.Value.IsDraining ? "draining" : i.Value.Version ?? ""),
            StringComparer.Ordinal);

    private static bool AreSame(SortedDictionary<string, string> expected, SortedDictionary<string, string> actual)
        => expected.Count == actual.Count && expected.All(e => actual.TryGetValue(e.Key, out var a) && (a == e.Value || e.Value == "*"));

    private static string Describe(ServiceSnapshot? snapshot)
        => snapshot is null ? "none" : $"{snapshot.Revision} ({snapshot.Reason}) [{Describe(Present(snapshot))}]";

    private static string Describe(SortedDictionary<string, string> state) => string.Join(", ", state.Select(s => $"{s.Key}={s.Value}"));

    /// <summary>Waits until the directory has come to the state that stands though no stream can be opened: lists have it.</summary>
    private Task SettleByListsAsync()
    {
        _etcd.Disconnect();
        return ReachLatestAsync(() =>
        {
            _etcd.SayUnavailable();
            return true;
        });
    }

    private async Task ReachLatestAsync(Func<bool> isReady)
    {
        // The state of before a restore may equal that of after it; what the directory has not read yet lies before this mark.
        _etcd.Put(Prefix + "mark", Encoding.UTF8.GetBytes($$$"""{"Addr":"10.1.{{{_marks / 250}}}.{{{(_marks % 250) + 1}}}:80","Metadata":{"version":"1"}}"""));
        _marks++;
        var started = Stopwatch.GetTimestamp();
        while (_problem is null && !(isReady() && IsAtLatest()))
        {
            if (Stopwatch.GetElapsedTime(started) > TimeSpan.FromSeconds(20))
            {
                Fail($"does not come to revision {_etcd.Revision}: it is at {Describe(_watcher.Feed.Current)}, the model at [{Describe(Expected(_now))}]");
            }

            await Task.Yield();
            _clock.Advance(TimeSpan.FromMilliseconds(20));
        }

        if ((_problem ?? _log.Problem) is { } problem)
        {
            throw new InvalidOperationException(problem);
        }
    }

    private bool IsAtLatest()
    {
        lock (_gate)
        {
            return _watcher.Feed.Current is { } current
                && _watcher.Status is var status
                && status.Revision == _etcd.Revision
                && AreSame(Expected(_now), Present(current))
                && status.SkippedRecords == _now.Values.Count(r => !Encoding.Latin1.GetString(r.Value.Span).EndsWith("}}", StringComparison.Ordinal));
        }
    }

    private void Restore(Random random)
    {
        KeyValuePair<long, List<ImmutableSortedDictionary<string, EtcdKeyValue>>> older;
        lock (_gate)
        {
            older = _states.OrderBy(static s => s.Key).ElementAt(random.Next(_states.Count));
        }

        _etcd.Restore(older.Value[^1], older.Key + random.Next(5), asAnotherCluster: random.Next(2) == 0);
        if (random.Next(2) == 0)
        {
            // The regular list in the very moment in which events of the old history still wait to be read.
            _clock.Advance(RelistInterval * 1.2);
        }
    }

    private void Check(ServiceSnapshot snapshot)
    {
        lock (_gate)
        {
            var actual = Present(snapshot);
            if (!_states.TryGetValue(snapshot.Revision, out var states) || !states.Exists(s => AreSame(Expected(s), actual)))
            {
                _problem ??= $"published a state that was not there: {Describe(snapshot)}; there was "
                    + string.Join(" or ", (states ?? []).Select(s => $"[{Describe(Expected(s))}]"));
            }
            else if (snapshot.Held.Keys.FirstOrDefault(actual.ContainsKey) is { } address)
            {
                _problem ??= $"holds {address}, which is present";
            }
        }
    }

    private static void Fail(string problem) => throw new InvalidOperationException("The directory " + problem);

    /// <summary>Remembers that the loop met something it did not expect.</summary>
    private sealed class ErrorLog : ILogger<ServiceWatcher>
    {
        public string? Problem { get; private set; }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (exception is not null && logLevel >= LogLevel.Error)
            {
                Problem ??= $"{formatter(state, exception)} {exception}";
            }
        }
    }
}
