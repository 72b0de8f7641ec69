using Discovery.Etcd;

namespace Discovery.AspNetCore.Directory;

/// <summary>
/// Writes a service's snapshot file some time after it changed: changes come in bursts, and the file is written whole. The writing waits
/// for the disk, so it is done aside and no event waits for it.
/// </summary>
internal sealed class SnapshotSaver(SnapshotFile file, TimeProvider time)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private Task _writing = Task.CompletedTask;
    private long? _requestedAt;

    /// <summary>How long until the file is to be written; null when it is up to date.</summary>
    public TimeSpan? DueIn => _requestedAt is { } since ? Pause - time.GetElapsedTime(since) : null;

    /// <summary>Something changed.</summary>
    public void Request() => _requestedAt ??= time.GetTimestamp();

    /// <summary>What changed is not to be written.</summary>
    public void Withdraw() => _requestedAt = null;

    /// <summary>Writes if it is due. While the last writing lasts, it is put off.</summary>
    public void SaveIfDue(Func<EtcdListing> take)
    {
        if (DueIn > TimeSpan.Zero || _requestedAt is null)
        {
            return;
        }

        if (!_writing.IsCompleted)
        {
            _requestedAt = time.GetTimestamp();
            return;
        }

        _requestedAt = null;
        var listing = take();
        _writing = Task.Run(() => file.Write(listing));
    }

    /// <summary>Writes what is still to be written.</summary>
    public async ValueTask FlushAsync(Func<EtcdListing> take)
    {
        await _writing;
        if (_requestedAt is not null)
        {
            _requestedAt = null;
            file.Write(take());
        }
    }
}
