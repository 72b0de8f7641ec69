namespace Discovery.Etcd.Tests;

public sealed class EventLoopTests
{
    [Fact]
    public async Task Work_runs_in_order_and_one_that_throws_ends_nothing()
    {
        var done = new List<int>();
        var failures = new List<Exception>();
        var loop = new EventLoop(failures.Add);

        for (var i = 0; i < 100; i++)
        {
            var number = i;
            Assert.True(loop.Post(() =>
            {
                done.Add(number);
                if (number == 50)
                {
                    throw new InvalidOperationException("fifty");
                }
            }));
        }

        loop.Complete();
        await loop.Completion.WaitAsync(TimeSpan.FromSeconds(30));

        Assert.Equal(Enumerable.Range(0, 100), done);
        Assert.Equal("fifty", Assert.Single(failures).Message);
        Assert.False(loop.Post(() => done.Add(100)));
    }

    [Fact]
    public async Task Work_is_never_run_by_who_posts_it()
    {
        var loop = new EventLoop(e => throw e);
        var poster = Environment.CurrentManagedThreadId;
        var ran = new TaskCompletionSource<bool>();
        using var gate = new ManualResetEventSlim();

        loop.Post(() =>
        {
            gate.Wait();
            ran.SetResult(Environment.CurrentManagedThreadId == poster);
        });
        gate.Set();

        Assert.False(await ran.Task.WaitAsync(TimeSpan.FromSeconds(30)));
        loop.Complete();
    }

    [Fact]
    public async Task Work_of_who_may_do_it_is_done_by_the_caller_before_it_returns()
    {
        var loop = new EventLoop(e => throw e);
        var doneBy = 0;

        Assert.True(loop.Run(() => doneBy = Environment.CurrentManagedThreadId));

        Assert.Equal(Environment.CurrentManagedThreadId, doneBy);
        loop.Complete();
        await loop.Completion.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.False(loop.Run(() => doneBy = 0));
        Assert.NotEqual(0, doneBy);
    }

    [Fact]
    public async Task Work_of_who_may_do_it_waits_for_what_is_being_done_and_keeps_nobody_meanwhile()
    {
        var loop = new EventLoop(e => throw e);
        var done = new List<int>();
        var began = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var gate = new ManualResetEventSlim();
        loop.Post(() =>
        {
            began.SetResult();
            gate.Wait(TimeSpan.FromSeconds(30));
            done.Add(1);

            // What work gives comes after it too.
            loop.Run(() =>
            {
                done.Add(4);
                ended.SetResult();
            });
            done.Add(2);
        });
        await began.Task.WaitAsync(TimeSpan.FromSeconds(30));

        loop.Run(() => done.Add(3));
        Assert.Empty(done);
        gate.Set();
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(30));

        Assert.Equal([1, 2, 3, 4], done);
    }

    [Fact]
    public async Task A_failure_that_cannot_be_handled_keeps_no_other_work_from_being_done()
    {
        var loop = new EventLoop(e => throw e);
        var isDone = false;

        loop.Post(() => throw new InvalidOperationException("not handled"));
        loop.Post(() => isDone = true);

        loop.Complete();
        await loop.Completion.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.True(isDone);
    }
}
