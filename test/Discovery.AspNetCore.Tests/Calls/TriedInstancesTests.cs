using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Tests.Balancing;

namespace Discovery.AspNetCore.Tests.Calls;

public sealed class TriedInstancesTests
{
    private readonly BalancingRig _rig = new(3);
    private readonly TriedInstances _tried = new(CancellationToken.None);

    [Fact]
    public void Of_two_attempts_that_choose_one_instance_at_the_same_moment_one_chooses_again()
    {
        var avoided = _tried.All;

        Assert.True(_tried.TryChoose(_rig[0], avoided));
        Assert.False(_tried.TryChoose(_rig[0], avoided));
        Assert.True(_tried.TryChoose(_rig[1], avoided));

        // Where nobody else is left, one may be chosen that was tried.
        Assert.True(_tried.TryChoose(_rig[0], _tried.All));
        Assert.Equal([_rig[0], _rig[1]], _tried.All);
    }

    [Fact]
    public void Attempts_of_handlers_below_a_grpc_call_are_attempts_of_it()
    {
        using var request = new HttpRequestMessage();
        var ofHandlers = new TriedInstances(CancellationToken.None, request, _tried);

        ofHandlers.OnSent(_rig[0]);
        _tried.OnSent(_rig[1]);
        ofHandlers.OnAnswered(isSuccess: true);

        Assert.Equal([_rig[0], _rig[1]], ofHandlers.All);
        Assert.Equal(2, _tried.Attempts);
        Assert.True(_tried.IsAnswered);
        Assert.True(ofHandlers.IsOfGrpc && _tried.IsOfGrpc);
        Assert.False(new TriedInstances(CancellationToken.None, request).IsOfGrpc);
    }

    [Fact]
    public async Task One_that_is_not_made_waits_until_no_other_runs()
    {
        var wait = _tried.WaitForOthersAsync(_rig.Clock, CancellationToken.None);
        Assert.True(wait.IsCompletedSuccessfully);

        _tried.OnBegun();
        wait = _tried.WaitForOthersAsync(_rig.Clock, CancellationToken.None);
        _tried.OnBegun();
        _tried.OnEnded();
        _rig.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.False(wait.IsCompleted);

        _tried.OnEnded();
        await Eventually.IsTrue(() =>
        {
            _rig.Clock.Advance(TimeSpan.FromSeconds(1));
            return wait.IsCompleted;
        });
        await wait;
    }

    [Fact]
    public async Task Its_wait_ends_when_the_call_does()
    {
        using var cancel = new CancellationTokenSource();
        _tried.OnBegun();
        var wait = _tried.WaitForOthersAsync(_rig.Clock, cancel.Token);

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => wait);
    }
}
