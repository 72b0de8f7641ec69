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
}
