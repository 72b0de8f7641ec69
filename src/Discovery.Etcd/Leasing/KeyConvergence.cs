using Discovery.Etcd.KeyValues;

namespace Discovery.Etcd.Leasing;

/// <summary>
/// Brings one key in line with what is wanted. Except when its user puts a key, it is written or deleted only if it is ours or absent:
/// the comparison with the revision we know makes that safe against everybody else, and against our own repeated attempts.
/// </summary>
internal sealed class KeyConvergence(WantedKeys keys, KeyValueClient client, Action<EtcdKeyValue> onTaken)
{
    /// <summary>Brings the key in line.</summary>
    /// <exception cref="EtcdException">etcd is away, or refused; the lease may be gone.</exception>
    public async Task ConvergeAsync(WantedKey key, long leaseId, CancellationToken cancellationToken)
    {
        while (true)
        {
            byte[]? value;
            bool takeOver;
            long version, revision, knownAt;
            lock (keys.Gate)
            {
                if (key.State != WantedState.Open)
                {
                    return;
                }

                (value, takeOver, version, revision, knownAt) = (key.Value, key.TakeOver, key.Version, key.Revision, key.KnownAt);
            }

            if (takeOver)
            {
                var at = await client.PutAsync(key.Key, value, leaseId, cancellationToken);
                Settle(key, version, knownAt, at, at);
                continue;
            }

            var result = await client.ExecuteAsync(
                new EtcdTransaction
                {
                    When = [EtcdCompare.ModRevision(key.Key, revision)],
                    Then = [value is null ? EtcdOperation.Delete(key.Key) : EtcdOperation.Put(key.Key, value, leaseId)],
                    Else = [EtcdOperation.Get(key.Key)],
                },
                cancellationToken);
            if (result.Succeeded)
            {
                Settle(key, version, knownAt, value is null ? 0 : result.Revision, result.Revision);
            }
            else
            {
                Judge(key, result.Reads[0], leaseId, knownAt, result.Revision);
            }
        }
    }

    /// <summary>Takes note of how a key stands in etcd.</summary>
    /// <param name="key">The key.</param>
    /// <param name="record">The record; <see langword="null"/> when the key is absent.</param>
    /// <param name="leaseId">Our present lease.</param>
    /// <param name="knownAt">What <see cref="WantedKey.KnownAt"/> was when the record was asked for; <see langword="null"/> for a record that came by itself.</param>
    /// <param name="at">The revision at which it stood so.</param>
    public void Judge(WantedKey key, EtcdKeyValue? record, long leaseId, long? knownAt, long at)
    {
        bool taken;
        lock (keys.Gate)
        {
            if (!IsNews(key, knownAt, at))
            {
                return;
            }

            key.KnownAt = at;
            key.Revision = record?.ModRevision ?? 0;
            taken = JudgeLockHeld(key, record, leaseId);
        }

        if (taken)
        {
            onTaken(record!);
        }

        keys.Changed.Set();
    }

    private bool JudgeLockHeld(WantedKey key, EtcdKeyValue? record, long leaseId)
    {
        if (record is null)
        {
            // Whoever had taken it is gone; we are not.
            key.State = key.Value is null ? WantedState.Settled : WantedState.Open;
            return false;
        }

        if (key.State == WantedState.Taken)
        {
            return false;
        }

        if (keys.IsOurs(record.LeaseId))
        {
            var asWanted = key.Value is not null && record.LeaseId == leaseId && record.Value.Span.SequenceEqual(key.Value);
            key.State = asWanted ? WantedState.Settled : WantedState.Open;
            return false;
        }

        // Before the user's own put arrived, what stands there is not taken from us.
        var taken = key is { Value: not null, TakeOver: false };
        key.State = taken ? WantedState.Taken : key.Value is null ? WantedState.Settled : WantedState.Open;
        return taken;
    }

    private void Settle(WantedKey key, long version, long knownAt, long revision, long at)
    {
        lock (keys.Gate)
        {
            if (!IsNews(key, knownAt, at))
            {
                return;
            }

            key.KnownAt = at;
            key.Revision = revision;
            if (key.Version == version)
            {
                key.State = WantedState.Settled;
                key.TakeOver = false;
            }
        }
    }

    // Answers and events overtake each other: the later revision counts. Where nothing else came in while we asked, the answer counts
    // even with an earlier revision: then the cluster was restored from a backup.
    private static bool IsNews(WantedKey key, long? knownAt, long at) => at > key.KnownAt || key.KnownAt == knownAt;
}
