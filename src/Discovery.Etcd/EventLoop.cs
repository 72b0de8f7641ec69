using System.Threading.Channels;

namespace Discovery.Etcd;

/// <summary>Runs what is posted to it, one after another. State that only its work touches needs no lock.</summary>
internal sealed class EventLoop
{
    private readonly Channel<Action> _work = Channel.CreateUnbounded<Action>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Action<Exception> _onFailure;

    /// <param name="onFailure">Called on the loop with what a piece of work threw. The loop goes on.</param>
    public EventLoop(Action<Exception> onFailure)
    {
        _onFailure = onFailure;
        Completion = Detached.Run(RunAsync);
    }

    /// <summary>Ends when all work is done that was posted before <see cref="Complete"/>.</summary>
    public Task Completion { get; }

    /// <summary>Queues work; from any thread, and never run by the caller.</summary>
    /// <returns>Whether it will run; not after <see cref="Complete"/>.</returns>
    public bool Post(Action work) => _work.Writer.TryWrite(work);

    /// <summary>Takes no more work.</summary>
    public void Complete() => _work.Writer.TryComplete();

    private async Task RunAsync()
    {
        await foreach (var work in _work.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            try
            {
                work();
            }
            catch (Exception e)
            {
                _onFailure(e);
            }
        }
    }
}
