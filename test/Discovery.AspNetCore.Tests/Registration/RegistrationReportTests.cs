using System.Text;
using Discovery.AspNetCore.Registration;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Registration;

public sealed class RegistrationReportTests
{
    private static readonly EtcdLeaseStatus AllStand = new() { State = EtcdLeaseState.Held, LeaseId = 26, KeysStored = 1, KeysDesired = 1 };

    private readonly LogRecorder _log = new();
    private readonly RegistrationReport _report;

    private readonly FakeTimeProvider _clock = new();
    private readonly List<TimeSpan> _returns = [];

    public RegistrationReportTests()
        => _report = new RegistrationReport(_clock, _log, static () => [new Uri("http://10.0.0.1:2379")], _returns.Add);

    [Fact]
    public void Keys_that_stand_are_said_once_with_the_etcd_that_has_them()
    {
        _report.OnDesired(["services/shop/a"]);
        _report.OnLease(AllStand);
        _report.OnLease(AllStand);

        Assert.Equal(1, Registered());
        Assert.True(_log.Has(LogLevel.Information, "services/shop/a at http://10.0.0.1:2379/ (lease 1a "));
    }

    [Fact]
    public void A_return_is_said_though_it_was_too_quick_for_the_lease_to_show_the_absence()
    {
        _report.OnDesired(["services/shop/a"]);
        _report.OnLease(AllStand);
        _report.OnDesired([]);
        _report.OnDesired(["services/shop/a"]);
        _report.OnLease(AllStand);

        Assert.Equal(2, Registered());
    }

    [Fact]
    public void A_key_that_a_replica_held_counts_no_longer_once_it_is_not_desired()
    {
        var half = AllStand with { KeysDesired = 2 };
        _report.OnDesired(["openim:///shop/a", "services/shop/a"]);
        _report.OnShared(KeyOf("openim:///shop/a"));
        Assert.True(_report.AllStand(half));

        _report.OnDesired([]);
        _report.OnDesired(["openim:///shop/a", "services/shop/a"]);

        Assert.False(_report.AllStand(half));
        Assert.Equal(0, _report.Shared);
    }

    [Fact]
    public void A_key_that_passes_from_a_replica_to_another_application_is_a_conflict_that_lasts()
    {
        var half = AllStand with { KeysDesired = 2 };
        _report.OnDesired(["openim:///shop/a", "services/shop/a"]);
        _report.OnShared(KeyOf("openim:///shop/a"));
        _report.OnConflict(KeyOf("openim:///shop/a"));
        _report.OnLease(half);

        Assert.Contains("openim:///shop/a", _report.Problem, StringComparison.Ordinal);
        Assert.False(_report.AllStand(half));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Each_return_after_a_lost_lease_is_logged_and_counted_as_one(bool isOutage)
    {
        _report.OnDesired(["services/shop/a"]);
        _report.OnLease(AllStand);
        _report.OnLease(new EtcdLeaseStatus { State = EtcdLeaseState.Lost, KeysDesired = 1, LastError = isOutage ? new TimeoutException("No answer.") : null });
        _clock.Advance(TimeSpan.FromSeconds(3));
        _report.OnLease(AllStand with { LeaseId = 27 });
        _report.OnLease(AllStand with { LeaseId = 27 });

        Assert.Equal([TimeSpan.FromSeconds(3)], _returns);
        Assert.Equal(1, Registered());
        Assert.Single(
            _log.At(LogLevel.Information), static l => l.Contains("Registered in etcd again, 3.0 s after the lease was lost: services/shop/a (lease 1b", StringComparison.Ordinal));
    }

    [Fact]
    public void A_lease_that_was_lost_out_of_service_makes_the_return_no_other_than_any()
    {
        _report.OnDesired(["services/shop/a"]);
        _report.OnLease(AllStand);
        _report.OnDesired([]);
        _report.OnLease(new EtcdLeaseStatus { State = EtcdLeaseState.Lost });
        _clock.Advance(TimeSpan.FromSeconds(3));
        _report.OnDesired(["services/shop/a"]);
        _report.OnLease(AllStand with { LeaseId = 27 });

        Assert.Equal(2, Registered());
        Assert.Empty(_returns);
        Assert.Empty(_log.At(LogLevel.Warning));
        Assert.Equal(1, _report.LeasesLost);
    }

    [Fact]
    public void A_lost_lease_without_a_failure_before_it_is_a_warning_with_the_reason()
    {
        _report.OnDesired(["services/shop/a"]);
        _report.OnLease(AllStand);
        _report.OnLease(new EtcdLeaseStatus { State = EtcdLeaseState.Lost, KeysDesired = 1 });

        Assert.Contains("put again. etcd does not know it any more", Assert.Single(_log.At(LogLevel.Warning)), StringComparison.Ordinal);
    }

    private static EtcdKeyValue KeyOf(string key) => new()
    {
        KeyBytes = Encoding.UTF8.GetBytes(key), Value = default, CreateRevision = 1, ModRevision = 1, Version = 1, LeaseId = 27,
    };

    private int Registered() => _log.At(LogLevel.Information).Count(l => l.Contains("Registered in etcd: services/shop/a", StringComparison.Ordinal));
}
