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

    public RegistrationReportTests() => _report = new RegistrationReport(new FakeTimeProvider(), _log, static () => [new Uri("http://10.0.0.1:2379")]);

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

    private static EtcdKeyValue KeyOf(string key) => new()
    {
        KeyBytes = Encoding.UTF8.GetBytes(key), Value = default, CreateRevision = 1, ModRevision = 1, Version = 1, LeaseId = 27,
    };

    private int Registered() => _log.At(LogLevel.Information).Count(l => l.Contains("Registered in etcd: services/shop/a", StringComparison.Ordinal));
}
