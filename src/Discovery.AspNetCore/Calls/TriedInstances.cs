using System.Diagnostics.CodeAnalysis;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// The instances that the attempts of one call were sent to. It stands in the request's options, which handlers that retry or hedge
/// keep, also when they clone the request; so it is shared by attempts that run at a time. Those that gRPC makes by itself are requests of
/// their own, which <see cref="GrpcCallFlow"/> gives the same one; a handler may then make several of each.
/// </summary>
/// <param name="caller">What cancels the call as a whole, or, for handlers, all attempts of theirs.</param>
/// <param name="request">The request as it came to the first of the handlers that may make attempts; null if it is gRPC that makes them.</param>
/// <param name="grpcCall">Those of the gRPC call of which the handlers' request is an attempt; null if it is none.</param>
internal sealed class TriedInstances(CancellationToken caller, HttpRequestMessage? request = null, TriedInstances? grpcCall = null)
{
    public static readonly HttpRequestOptionsKey<TriedInstances> Key = new("discovery-tried");

    /// <summary>How long gRPC has to end a call by the answer of an attempt, before it hears of one that was not made.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(250);

    /// <summary>The same after an answer that is sure to end it.</summary>
    private static readonly TimeSpan GraceOfSuccess = TimeSpan.FromSeconds(10);

    private readonly State _state = grpcCall?._state ?? new State();

    public HttpRequestMessage? Request => request;

    public CancellationToken Caller => caller;

    /// <summary>Whether gRPC itself may make several attempts.</summary>
    public bool IsOfGrpc => request is null || grpcCall is not null;

    /// <summary>Whether the caller gave up the call as a whole.</summary>
    public bool IsGivenUp => (grpcCall?.Caller ?? caller).IsCancellationRequested;

    /// <summary>Whether one of them was answered; those that still run are then of no use any more.</summary>
    public bool IsAnswered => Volatile.Read(ref _state.IsAnswered);

    /// <summary>How many attempts were made so far.</summary>
    public int Attempts => Volatile.Read(ref _state.Attempts);

    /// <summary>An immutable list of those that a further attempt is to avoid: it was not served there, or not yet.</summary>
    public InstanceState[] All
    {
        get
        {
            lock (_state.Gate)
            {
                return _state.Instances;
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

    /// <summary>An attempt was chosen an instance.</summary>
    /// <param name="instance">The instance.</param>
    /// <param name="avoided">What <see cref="All"/> was before the choice.</param>
    /// <returns>Whether it may go there; false if another attempt was chosen the same one meanwhile.</returns>
    public bool TryChoose(InstanceState instance, InstanceState[] avoided)
    {
        lock (_state.Gate)
        {
            if (_state.Instances != avoided && _state.Instances.Contains(instance))
            {
                return false;
            }

            _state.Avoid(instance);
            return true;
        }
    }

    /// <summary>An attempt is sent.</summary>
    public void OnSent(InstanceState instance)
    {
        Interlocked.Increment(ref _state.Attempts);
        Avoid(instance);
    }

    /// <summary>An attempt was answered.</summary>
    /// <param name="isSuccess">Whether by what the call asked for.</param>
    public void OnAnswered(bool isSuccess)
    {
        Volatile.Write(ref _state.IsAnswered, true);
        if (isSuccess)
        {
            Volatile.Write(ref _state.HasSucceeded, true);
        }
    }

    /// <summary>
    /// The instance did what it can. What comes next is no retry, but the call with a renewed token for example, and is to go where it would go by itself.
    /// </summary>
    public void OnServed(InstanceState instance)
    {
        lock (_state.Gate)
        {
            _state.Instances = Array.FindAll(_state.Instances, i => i != instance);
        }
    }

    /// <summary>A further attempt is to go elsewhere.</summary>
    public void Avoid(InstanceState instance)
    {
        lock (_state.Gate)
        {
            _state.Avoid(instance);
        }
    }

    /// <summary>An attempt begins.</summary>
    public void OnBegun()
    {
        lock (_state.Gate)
        {
            _state.Running++;
        }
    }

    /// <summary>An attempt has its answer, or will not get any.</summary>
    public void OnEnded()
    {
        TaskCompletionSource? idle = null;
        lock (_state.Gate)
        {
            if (--_state.Running == 0)
            {
                (idle, _state.Idle) = (_state.Idle, null);
            }
        }

        idle?.SetResult();
    }

    /// <summary>
    /// Waits as long as attempts run. To be called by one that is not made: most of what a hedge is told ends its call, while another attempt may still be
    /// answered. What that answer means to gRPC is not known here; if it ends the call, this wait is cancelled.
    /// </summary>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Cancels the wait.</param>
    public async Task WaitForOthersAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        while (_state.IsRunning(out var untilIdle))
        {
            await untilIdle.WaitAsync(cancellationToken).ConfigureAwait(false);
            await Task.Delay(Volatile.Read(ref _state.HasSucceeded) ? GraceOfSuccess : Grace, time, cancellationToken).ConfigureAwait(false);
        }
    }

    private sealed class State
    {
        public int Attempts;
        public bool IsAnswered;
        public bool HasSucceeded;

        public Lock Gate { get; } = new();

        public InstanceState[] Instances { get; set; } = [];

        public int Running { get; set; }

        public TaskCompletionSource? Idle { get; set; }

        public void Avoid(InstanceState instance)
        {
            if (!Instances.Contains(instance))
            {
                Instances = [.. Instances, instance];
            }
        }

        /// <summary>Whether attempts run, and what ends when none does any longer.</summary>
        public bool IsRunning([NotNullWhen(true)] out Task? untilIdle)
        {
            lock (Gate)
            {
                untilIdle = Running == 0 ? null : (Idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
                return untilIdle is not null;
            }
        }
    }
}
