using Discovery.Etcd.Leasing;

namespace Discovery.Etcd.Tests.Leasing;

public sealed class LeaseClockTests
{
    private readonly FakeTimeProvider _clock = new();

    [Fact]
    public void A_lease_counts_from_when_its_renewal_was_sent_and_is_due_after_a_third()
    {
        var sentAt = _clock.GetTimestamp();
        _clock.Advance(TimeSpan.FromSeconds(2));
        var lease = new LeaseClock(_clock);
        lease.Renewed(sentAt, TimeSpan.FromSeconds(9));

        Assert.Equal(TimeSpan.FromSeconds(7), lease.Remaining);
        Assert.False(lease.IsRenewalDue);
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.True(lease.IsRenewalDue);
        _clock.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal(TimeSpan.Zero, lease.Remaining);
    }

    [Fact]
    public void A_jump_of_the_wall_clock_alone_is_a_pause()
    {
        var clock = new JumpingClock();
        var lease = new LeaseClock(clock);

        clock.Jump = TimeSpan.FromMilliseconds(500);
        Assert.False(lease.WasPaused());
        clock.Jump += TimeSpan.FromSeconds(5);
        Assert.True(lease.WasPaused());
        Assert.False(lease.WasPaused());
        clock.Jump -= TimeSpan.FromHours(1);
        Assert.False(lease.WasPaused());
    }

    private sealed class JumpingClock : TimeProvider
    {
        public TimeSpan Jump { get; set; }

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddYears(50) + Jump;

        public override long GetTimestamp() => 0;
    }
}
