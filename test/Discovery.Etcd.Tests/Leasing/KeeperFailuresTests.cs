using Discovery.Etcd.Leasing;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tests.Leasing;

public sealed class KeeperFailuresTests : IDisposable
{
    private static readonly FailureCause Lease = new(FailureArea.Lease);

    private readonly FakeTimeProvider _clock = new();
    private readonly LogRecorder _log = new();
    private readonly EtcdOutage _outage;
    private readonly KeeperFailures _failures;
    private int _changes;

    public KeeperFailuresTests()
    {
        _outage = new EtcdOutage(_clock);
        _failures = new KeeperFailures(_outage, _clock, _log);
        _failures.Changed += () => _changes++;
    }

    /// <summary>A provider may have a lock of its own, which another thread holds that enriches a line with the keeper's status.</summary>
    [Fact]
    public void What_is_logged_may_wait_for_who_reads_the_failures()
    {
        KeeperFailures? failures = null;
        var waits = new List<bool>();
        failures = new KeeperFailures(
            _outage,
            _clock,
            new CallingLog(() => waits.Add(Task.Run(() => (failures!.LastError, failures.ReadError, failures.IsUnavailable)).Wait(TimeSpan.FromSeconds(10)))));

        failures.Failed(Lease, Unavailable());
        failures.Succeeded(Lease);

        Assert.NotEmpty(waits);
        Assert.All(waits, Assert.True);
    }

    [Fact]
    public void An_outage_that_others_meet_too_is_one_warning_and_one_line_up_by_the_last_that_recovers()
    {
        var other = new KeeperFailures(_outage, _clock, _log);
        _failures.Failed(Lease, Unavailable());
        _clock.Advance(TimeSpan.FromSeconds(20));
        other.Failed(Lease, Unavailable());
        _clock.Advance(TimeSpan.FromSeconds(40));

        _failures.Succeeded(Lease);
        Assert.Empty(_log.At(LogLevel.Information));
        other.Succeeded(Lease);

        Assert.Single(_log.At(LogLevel.Warning));
        Assert.Contains("after 00:01:00", Assert.Single(_log.At(LogLevel.Information)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_keeper_that_ends_in_an_outage_does_not_keep_the_others_from_saying_that_it_is_over()
    {
        var other = new KeeperFailures(_outage, _clock, _log);
        _failures.Failed(Lease, Unavailable());
        other.Failed(Lease, Unavailable());

        _failures.End();
        other.Succeeded(Lease);

        Assert.Single(_log.At(LogLevel.Information));
    }

    [Fact]
    public void An_outage_is_one_warning_down_and_one_line_up_with_its_length()
    {
        for (var i = 0; i < 50; i++)
        {
            _failures.Failed(Lease, Unavailable());
            _failures.Failed(Write("a"), Unavailable());
            _clock.Advance(TimeSpan.FromSeconds(1));
        }

        // Not over yet: a key cannot be written.
        _failures.Succeeded(Lease);
        Assert.True(_failures.IsUnavailable);
        Assert.Empty(_log.At(LogLevel.Information));
        _failures.Succeeded(Write("a"));
        _failures.Succeeded(Write("a"));

        Assert.False(_failures.IsUnavailable);
        Assert.Single(_log.At(LogLevel.Warning));
        Assert.Contains("00:00:50", Assert.Single(_log.At(LogLevel.Information)), StringComparison.Ordinal);
        Assert.Equal(4, _changes);
    }

    [Fact]
    public void Refusals_are_logged_when_they_appear_and_then_once_a_minute_for_all_keys_together()
    {
        for (var second = 0; second < 180; second++)
        {
            foreach (var key in (string[])["a", "b", "c"])
            {
                _failures.Failed(Write(key), Refused());
            }

            _clock.Advance(TimeSpan.FromSeconds(1));
        }

        var lines = _log.At(LogLevel.Warning);
        Assert.Equal(3, lines.Count);
        Assert.All(lines.Skip(1), line => Assert.Contains("a, b, c", line, StringComparison.Ordinal));
        Assert.All(lines, line => Assert.Contains("permission denied", line, StringComparison.Ordinal));

        // Another reason is news.
        _failures.Failed(Write("c"), Refused(StatusCode.InvalidArgument));
        Assert.Equal(4, _log.At(LogLevel.Warning).Count);

        _failures.Succeeded(Write("a"));
        _failures.Succeeded(Write("b"));
        Assert.Empty(_log.At(LogLevel.Information));
        _failures.Succeeded(Write("c"));
        Assert.Single(_log.At(LogLevel.Information));

        // And so is the same one after it was over.
        _failures.Failed(Write("c"), Refused());
        Assert.Equal(5, _log.At(LogLevel.Warning).Count);
    }

    [Fact]
    public void A_line_names_a_few_of_many_refused_keys()
    {
        for (var i = 0; i < 9; i++)
        {
            _failures.Failed(Write($"k{i}"), Refused());
        }

        _clock.Advance(TimeSpan.FromMinutes(1));
        _failures.Failed(Write("k0"), Refused());

        Assert.Contains("keep k0, k1, k2, k3, k4 and 4 more;", _log.At(LogLevel.Warning)[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void An_error_stands_for_as_long_as_its_cause()
    {
        var refused = Refused();
        _failures.Failed(Write("a"), refused);
        _failures.Failed(Lease, Unavailable());
        Assert.Equal(StatusCode.Unavailable, ((EtcdException)_failures.LastError!).StatusCode);

        _failures.Succeeded(Lease);
        Assert.Same(refused, _failures.LastError);
        _failures.Succeeded(Lease);
        _failures.Succeeded(Write("b"));
        Assert.Same(refused, _failures.LastError);

        _failures.Succeeded(Write("a"));
        Assert.Null(_failures.LastError);
    }

    [Fact]
    public void A_refusal_that_follows_an_outage_ends_it()
    {
        _failures.Failed(Write("a"), Unavailable());
        _failures.Failed(Write("a"), Refused());

        Assert.False(_failures.IsUnavailable);
        Assert.Equal(StatusCode.PermissionDenied, ((EtcdException)_failures.LastError!).StatusCode);
    }

    [Fact]
    public void An_outage_that_ends_by_a_refusal_is_not_said_to_be_over_for_the_keys_and_a_refusal_not_by_an_outage()
    {
        for (var i = 0; i < 3; i++)
        {
            _failures.Failed(Lease, Unavailable());
            _clock.Advance(TimeSpan.FromSeconds(5));
            _failures.Failed(Lease, Refused());
            _clock.Advance(TimeSpan.FromSeconds(5));
        }

        Assert.All(_log.At(LogLevel.Information), static line => Assert.Equal("etcd answers again, after 00:00:05, but refuses to keep keys.", line));
        Assert.Equal(3, _log.At(LogLevel.Information).Count);
        Assert.Single(_log.At(LogLevel.Warning), static line => line.StartsWith("etcd refuses to keep the lease", StringComparison.Ordinal));

        _failures.Failed(Lease, Unavailable());
        _failures.Succeeded(Lease);

        Assert.Equal(["etcd is available again for keeping the keys, after 00:00:00.", "etcd does not refuse to keep any key any more; it did for 00:00:25."], _log.At(LogLevel.Information).Skip(3));
    }

    [Fact]
    public void Keys_that_cannot_be_read_are_said_once_and_are_no_error_of_the_lease()
    {
        foreach (var key in (string[])["a", "b", "a"])
        {
            _failures.Failed(new FailureCause(FailureArea.ReadPermission, key), Refused());
            _clock.Advance(TimeSpan.FromMinutes(10));
        }

        Assert.Null(_failures.LastError);
        Assert.NotNull(_failures.ReadError);
        Assert.Contains("'a'", Assert.Single(_log.At(LogLevel.Warning)), StringComparison.Ordinal);

        _failures.Succeeded(new FailureCause(FailureArea.ReadPermission, "a"));
        Assert.NotNull(_failures.ReadError);
        _failures.Succeeded(new FailureCause(FailureArea.ReadPermission, "b"));
        Assert.Null(_failures.ReadError);
        Assert.Single(_log.At(LogLevel.Information));
    }

    public void Dispose() => _log.Dispose();

    private static FailureCause Write(string key) => new(FailureArea.Write, key);

    private static EtcdException Unavailable() => new("no answer", new Status(StatusCode.Unavailable, ""), "Txn", []);

    private static EtcdException Refused(StatusCode code = StatusCode.PermissionDenied) => new("permission denied", new Status(code, ""), "Txn", []);

    private sealed class CallingLog(Action call) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
            => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => call();
    }
}
