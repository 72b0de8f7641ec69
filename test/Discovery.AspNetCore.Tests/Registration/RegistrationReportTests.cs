using Discovery.AspNetCore.Registration;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Registration;

public sealed class RegistrationReportTests
{
    private static readonly EtcdLeaseStatus AllStand = new() { State = EtcdLeaseState.Held, LeaseId = 26, KeysStored = 1, KeysDesired = 1 };

    private readonly LogRecorder _log = new();
    private readonly RegistrationReport _report;

    public RegistrationReportTests() => _report = new RegistrationReport(new FakeTimeProvider(), _log);

    [Fact]
    public void Keys_that_stand_are_said_once()
    {
        _report.OnDesired(["services/shop/a"]);
        _report.OnLease(AllStand);
        _report.OnLease(AllStand);

        Assert.Equal(1, Registered());
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

    private int Registered() => _log.At(LogLevel.Information).Count(l => l.Contains("Registered in etcd: services/shop/a", StringComparison.Ordinal));
}
