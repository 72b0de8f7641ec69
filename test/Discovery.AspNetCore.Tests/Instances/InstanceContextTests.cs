using Discovery.AspNetCore.Instances;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.AspNetCore.Tests.Instances;

/// <summary>What every pick reads is written once a millisecond at most, so that cores do not fight for it.</summary>
public sealed class InstanceContextTests
{
    private readonly FakeTimeProvider _clock = new();
    private readonly InstanceContext _context;

    public InstanceContextTests() => _context = new InstanceContext(_clock, new BalancingOptions(), NullLogger.Instance);

    [Fact]
    public void Of_the_answers_of_a_millisecond_one_is_learnt_from()
    {
        _context.OnAnswer(100, _context.ReadClock());
        for (var i = 0; i < 1_000; i++)
        {
            _clock.Advance(TimeSpan.FromTicks(9));
            _context.OnAnswer(10_000, _context.ReadClock());
        }

        Assert.Equal(100, _context.UsualLatency);
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        _context.OnAnswer(300, _context.ReadClock());
        Assert.Equal(200, _context.UsualLatency);
    }

    [Fact]
    public void The_shared_time_advances_by_milliseconds_and_the_callers_own_is_exact()
    {
        var start = _context.CoarseNow;
        _clock.Advance(TimeSpan.FromTicks(9_999));

        Assert.Equal((start + 9_999, start), (_context.ReadClock(), _context.CoarseNow));
        _clock.Advance(TimeSpan.FromTicks(1));
        Assert.Equal((start + 10_000, start + 10_000), (_context.ReadClock(), _context.CoarseNow));
    }
}
