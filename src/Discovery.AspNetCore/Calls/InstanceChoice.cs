using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// Which instance a call goes to that is steered, or that was tried before. Nearly all others go where the balancer has them, and need nothing of this.
/// </summary>
internal static class InstanceChoice
{
    /// <summary>
    /// Chooses. One that could not be connected to is not tried again; of those that attempts above were sent to, one is taken if nobody else is left.
    /// </summary>
    /// <param name="current">What there is.</param>
    /// <param name="request">The call.</param>
    /// <param name="steering">What it asks for, and what attempts above were sent to.</param>
    /// <param name="failures">Those that could not be connected to; null at the first attempt.</param>
    /// <returns>Null if there is none, or no other.</returns>
    public static InstanceState? Choose(
        PoolSnapshot current, HttpRequestMessage request, CallSteering? steering, IReadOnlyList<InstanceState>? failures)
    {
        if (steering?.Instance is { } pinned)
        {
            return failures is null ? current.Find(pinned, CallNeeds.Of(request, version: null)) : null;
        }

        var needs = CallNeeds.Of(request, steering?.Version);
        if (current.For(needs, steering?.HashKey) is not { } balancer)
        {
            return null;
        }

        InstanceState[] unreachable = failures is null ? [] : [.. failures];

        // A call has few attempts: after the first in vain they go to instances of which etcd says that they are there.
        InstanceState[] held = failures is null || current.Snapshot.Held.IsEmpty ? [] : [.. current.Instances.Where(static i => i.IsHeld)];
        while (true)
        {
            var tried = steering?.Tried?.All ?? [];

            // What could not be connected to stands among those tried too, where a handler above may try again.
            var attempted = Union(unreachable, tried, steering?.FailedBefore ?? []);
            InstanceState[] avoided = held.Length == 0 ? attempted : [.. attempted, .. held];
            var instance = PickOther(avoided, attempted.Length)
                ?? (avoided.Length > unreachable.Length ? PickOther(unreachable, unreachable.Length) : null);

            // Hedges may choose at the same moment.
            if (instance is null || steering?.Tried?.TryChoose(instance, tried) != false)
            {
                return instance;
            }
        }

        InstanceState? PickOther(InstanceState[] than, int attempt)
            => PickExcept(balancer, new PickArguments { HashKey = steering?.HashKey, Attempt = attempt }, than)
                ?? (current.ForAnyShare(needs) is { } all ? PickExcept(all, new PickArguments { HashKey = steering?.HashKey, Attempt = attempt }, than) : null);
    }

    /// <summary>All of these, each once. Most calls have tried none.</summary>
    private static InstanceState[] Union(InstanceState[] unreachable, InstanceState[] tried, IReadOnlyList<InstanceState> failedBefore)
        => tried.Length == 0 && failedBefore.Count == 0 ? unreachable : [.. unreachable.Union(tried).Union(failedBefore)];

    private static InstanceState? PickExcept(Balancer balancer, in PickArguments arguments, InstanceState[] avoided)
        => avoided.Length == 0 ? balancer.Pick(arguments) : balancer.Pick(arguments, avoided);
}
