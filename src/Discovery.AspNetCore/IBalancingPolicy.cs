namespace Discovery.AspNetCore;

/// <summary>
/// Decides which instance gets a call. Register an implementation as a singleton <see cref="IBalancingPolicy"/> and name it in
/// <c>Etcd:Discovery:Policy</c>.
/// </summary>
public interface IBalancingPolicy
{
    /// <summary>The name used in configuration; compared without regard to case.</summary>
    string Name { get; }

    /// <summary>Prepares the choice among instances. Called whenever the set changes; the picker is then used until the next change.</summary>
    /// <param name="instances">The instances that may be called; never empty. Their live state is current at any time.</param>
    InstancePicker CreatePicker(IReadOnlyList<InstanceState> instances);
}
