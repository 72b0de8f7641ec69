using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing;

/// <summary>A policy that makes a picker from the one before, where that takes less than to make a new one.</summary>
internal interface IIncrementalPolicy : IBalancingPolicy
{
    /// <summary>Makes the picker that <see cref="IBalancingPolicy.CreatePicker"/> would make.</summary>
    /// <param name="instances">The instances that may be called; never empty.</param>
    /// <param name="before">The picker that this policy made for the instances before.</param>
    /// <param name="changes">All that came, went or got another record since. An instance may be there twice.</param>
    InstancePicker CreatePicker(InstanceList instances, InstancePicker before, IReadOnlyCollection<InstanceChange> changes);
}
