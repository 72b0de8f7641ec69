namespace Discovery.AspNetCore.Calls;

/// <summary>
/// The instances that the attempts of one call were sent to. It stands in the request's options, which handlers that retry or hedge
/// keep, also when they clone the request; so it is shared by attempts that run at a time.
/// </summary>
internal sealed class TriedInstances
{
    public static readonly HttpRequestOptionsKey<TriedInstances> Key = new("discovery-tried");

    private readonly Lock _gate = new();
    private InstanceState[] _instances = [];
    private bool _isAnswered;

    /// <summary>What cancels the call as a whole.</summary>
    public CancellationToken Caller { get; init; }

    /// <summary>Whether one of them was answered; those that still run are then of no use any more.</summary>
    public bool IsAnswered
    {
        get => Volatile.Read(ref _isAnswered);
        set => Volatile.Write(ref _isAnswered, value);
    }

    /// <summary>An immutable list of those tried so far.</summary>
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

    public void Add(InstanceState instance)
    {
        lock (_gate)
        {
            _instances = [.. _instances, instance];
        }
    }
}
