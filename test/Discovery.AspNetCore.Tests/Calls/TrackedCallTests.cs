using System.Runtime.CompilerServices;
using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Tests.Calls;

/// <summary>The calls of responses are tracked by objects that are used again; none may end another's call, or be lost.</summary>
public sealed class TrackedCallTests
{
    private readonly InstanceState _instance = new(new ServiceInstance { Key = "services/svc/10.0.0.1:80", ServiceName = "svc", Host = "10.0.0.1", Port = 80 });

    [Fact]
    public void A_response_whose_call_ended_does_not_end_the_next_call()
    {
        var first = Track();
        first.OnCompleted();
        var second = Track();

        first.OnCompleted();
        first.OnFailed(new IOException(), CancellationToken.None);
        first.Dispose();

        Assert.Equal(1, _instance.InFlight);
        Assert.Equal(0, _instance.FailureRate);
        second.Dispose();
        Assert.Equal(0, _instance.InFlight);
    }

    [Fact]
    public async Task Forgotten_responses_end_when_they_are_collected_also_among_others_that_ended()
    {
        TrackAndForget(200);
        Assert.Equal(200, _instance.InFlight);

        await Eventually.IsTrue(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return _instance.InFlight == 0;
        });
    }

    [Fact]
    public void What_nobody_holds_is_collected_as_early_as_a_new_object()
    {
        // Survives collections where it is kept for the next call.
        Track().Dispose();
        GC.Collect();
        GC.Collect();
        TrackAndForget(1);

        GC.Collect(0, GCCollectionMode.Forced, blocking: true);
        GC.WaitForPendingFinalizers();

        Assert.True(SpinWait.SpinUntil(() => _instance.InFlight == 0, TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task Calls_that_several_threads_end_at_once_end_once()
    {
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 2_000; i++)
            {
                var content = Track();
                Parallel.Invoke(content.OnGivenUp, content.OnCompleted, content.Dispose);
            }
        })));

        Assert.Equal(8_000, _instance.Calls);
        Assert.Equal(0, _instance.InFlight);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void TrackAndForget(int count)
    {
        for (var i = 0; i < count; i++)
        {
            Track().Dispose();
            _ = Track();
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private TrackedContent Track()
    {
        var response = new HttpResponseMessage { Content = new ByteArrayContent([1]) };
        return new TrackedContent(response, isGrpc: false, hasLength: false, _instance, _instance.OnCallStarted(), CallOutcome.Success);
    }
}
