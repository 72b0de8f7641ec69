using System.Collections.Immutable;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// All calls to the instance whose key comes first; to the next one only when it cannot be reached, is ejected or leaves. All clients
/// agree on the order, so one instance works and the others stand by.
/// </summary>
internal sealed class PickFirstPolicy : IIncrementalPolicy
{
    public string Name => BalancingPolicies.PickFirst;

    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances)
        => new Picker(instances.Select(static i => new Ranked(i.Record.Key, i)).ToImmutableSortedSet(Ranked.Order));

    public InstancePicker CreatePicker(InstanceList instances, InstancePicker before, IReadOnlyCollection<InstanceChange> changes)
    {
        var ranking = ((Picker)before).Ranking.ToBuilder();
        foreach (var (instance, recordBefore) in changes)
        {
            ranking.Remove(new Ranked(recordBefore.Key, instance));
        }

        // After all have gone: another process may have the key and the address of the one before.
        foreach (var (instance, _) in changes)
        {
            if (instances.Contains(instance))
            {
                ranking.Add(new Ranked(instance.Record.Key, instance));
            }
        }

        return new Picker(ranking.ToImmutable());
    }

    private sealed class Picker(ImmutableSortedSet<Ranked> ranking) : InstancePicker
    {
        private readonly InstanceState _first = ranking[0].Instance;

        public ImmutableSortedSet<Ranked> Ranking => ranking;

        public override InstanceState Pick(in PickArguments arguments)
            => arguments.Attempt == 0 ? _first : ranking[arguments.Attempt % ranking.Count].Instance;
    }

    /// <summary>An instance at the place that its key has given it; the instance's record may have changed since.</summary>
    private readonly record struct Ranked(string Key, InstanceState Instance)
    {
        /// <summary>Of two instances with one key the address decides, or clients would not agree.</summary>
        public static IComparer<Ranked> Order { get; } = Comparer<Ranked>.Create(static (one, other) =>
        {
            var byKey = string.CompareOrdinal(one.Key, other.Key);
            return byKey != 0 || ReferenceEquals(one.Instance, other.Instance)
                ? byKey
                : string.CompareOrdinal(one.Instance.Record.Address, other.Instance.Record.Address);
        });
    }
}
