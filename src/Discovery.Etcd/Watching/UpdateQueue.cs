using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Discovery.Etcd.Watching;

/// <summary>The news of one watch that its reader has not read yet, and what they weigh.</summary>
internal sealed class UpdateQueue
{
    /// <summary>
    /// How much may be unread, in bytes of memory. Some 80,000 changes of service records: a reader that is only slow never gets there,
    /// and one that stands still costs no more than this.
    /// </summary>
    public const long Limit = 64 * 1024 * 1024;

    // The objects around keys and values, and an error with its causes, roughly.
    private const int Overhead = 512;
    private const int ErrorSize = 4096;

    private readonly Channel<(EtcdWatchUpdate Update, long Size)> _updates =
        Channel.CreateUnbounded<(EtcdWatchUpdate, long)>(new UnboundedChannelOptions { SingleReader = true });

    private long _size;

    /// <summary>Whether more is unread than is allowed.</summary>
    public bool IsOverfull => Interlocked.Read(ref _size) > Limit;

    public void Add(EtcdWatchUpdate update)
    {
        var size = Overhead + (update.Error is null ? 0 : ErrorSize) + update.Events.Sum(e => (long)Overhead + (3 * e.Record.KeyBytes.Length) + e.Record.Value.Length);
        Interlocked.Add(ref _size, size);
        _updates.Writer.TryWrite((update, size));
    }

    public void Complete() => _updates.Writer.TryComplete();

    public async IAsyncEnumerable<EtcdWatchUpdate> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var (update, size) in _updates.Reader.ReadAllAsync(cancellationToken))
        {
            Interlocked.Add(ref _size, -size);
            yield return update;
        }
    }
}
