namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// All calls to the instance whose key comes first; to the next one only when it cannot be reached, is ejected or leaves. All clients
/// agree on the order, so one instance works and the others stand by.
/// </summary>
internal sealed class PickFirstPolicy : IBalancingPolicy
{
    public string Name => BalancingPolicies.PickFirst;

    public InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances)
        => new Picker([.. instances.OrderBy(i => i.Record.Key, StringComparer.Ordinal)]);

    private sealed class Picker(InstanceState[] instances) : InstancePicker
    {
        public override InstanceState Pick(in PickArguments arguments) => instances[arguments.Attempt % instances.Length];
    }
}
