namespace Discovery.AspNetCore.Pools;

/// <summary>A pool of the cache, and what is given back when it is forgotten.</summary>
internal sealed class PoolEntry
{
    private volatile ServicePool? _pool;
    private volatile bool _isUsed = true;
    private Action? _unlink;
    private Action? _release;

    /// <summary>Keeps a pool.</summary>
    /// <param name="pool">The pool.</param>
    /// <param name="unlink">Has it neither found nor shown any longer.</param>
    /// <param name="release">Has its service watched for it no longer.</param>
    public PoolEntry(ServicePool pool, Action unlink, Action release) => (_pool, _unlink, _release) = (pool, unlink, release);

    /// <summary>The pool; null once it is forgotten.</summary>
    public ServicePool? Pool => _pool;

    /// <summary>Whether somebody asks for its instances, which must be there at once: then it is kept while there are any.</summary>
    public bool IsListed { get; set; }

    /// <summary>When it was last seen in use. <see cref="IdlePools"/> writes it.</summary>
    public long UsedAt { get; set; }

    /// <summary>Somebody calls the service, or asks for it. Written once between two looks, or every core would fight for the cache line.</summary>
    public void OnUsed()
    {
        if (!_isUsed)
        {
            _isUsed = true;
        }
    }

    /// <summary>Whether the pool was used since this was last asked.</summary>
    public bool TakeUse()
    {
        var isUsed = _isUsed;
        _isUsed = false;
        return isUsed;
    }

    /// <summary>Has calls make the pool anew from now on. One that has just got it still goes by it.</summary>
    public void Unlink()
    {
        // Before the pool is gone, or who makes it anew would find this one. Nothing is kept, for a channel may keep this.
        Interlocked.Exchange(ref _unlink, null)?.Invoke();
        _pool = null;
    }

    /// <summary>Gives back the watch.</summary>
    public void Release() => Interlocked.Exchange(ref _release, null)?.Invoke();
}
