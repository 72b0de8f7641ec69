namespace Discovery.AspNetCore.Calls;

/// <summary>
/// The instances that the attempts of one call were sent to. It stands in the request's options, which handlers that retry or hedge
/// keep, also when they clone the request; so it is shared by attempts that run at a time.
/// </summary>
/// <param name="request">The request as it came to the first of those handlers.</param>
/// <param name="caller">What cancels the call as a whole.</param>
internal sealed class TriedInstances(HttpRequestMessage request, CancellationToken caller)
{
    public static readonly HttpRequestOptionsKey<TriedInstances> Key = new("discovery-tried");

    private readonly Lock _gate = new();
    private InstanceState[] _instances = [];
    private int _attempts;
    private bool _isAnswered;

    public HttpRequestMessage Request => request;

    public CancellationToken Caller => caller;

    /// <summary>Whether one of them was answered; those that still run are then of no use any more.</summary>
    public bool IsAnswered
    {
        get => Volatile.Read(ref _isAnswered);
        set => Volatile.Write(ref _isAnswered, value);
    }

    /// <summary>How many attempts were made so far.</summary>
    public int Attempts => Volatile.Read(ref _attempts);

    /// <summary>An immutable list of those that a further attempt is to avoid: it was not served there, or not yet.</summary>
    public InstanceState[] All
    {
        get
        {
            lock (_gate)
            {
                return _instances;
            }
        }
    }

    /// <summary>Those of a request; null if nothing above may make several attempts.</summary>
    public static TriedInstances? Of(HttpRequestMessage request)
    {
        TriedInstances? tried = null;
        _ = MessageParts.OptionsOf(request)?.TryGetValue(Key, out tried);
        return tried;
    }

    /// <summary>An attempt is sent.</summary>
    public void OnSent(InstanceState instance)
    {
        Interlocked.Increment(ref _attempts);
        Avoid(instance);
    }

    /// <summary>
    /// The instance did what it can. What comes next is no retry, but the call with a renewed token for example, and is to go where it would go by itself.
    /// </summary>
    public void OnServed(InstanceState instance)
    {
        lock (_gate)
        {
            _instances = Array.FindAll(_instances, i => i != instance);
        }
    }

    /// <summary>A further attempt is to go elsewhere.</summary>
    public void Avoid(InstanceState instance)
    {
        lock (_gate)
        {
            _instances = [.. _instances, instance];
        }
    }
}
