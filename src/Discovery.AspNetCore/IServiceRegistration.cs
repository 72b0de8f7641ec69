namespace Discovery.AspNetCore;

/// <summary>
/// This application's registration, to look at and to steer. What is wanted may be said at any time, even before the application has
/// started, and holds; the tasks tell when etcd has it. After the application has stopped, nothing has an effect any more.
/// </summary>
public interface IServiceRegistration
{
    /// <summary>How the registration stands.</summary>
    ServiceRegistrationStatus Status { get; }

    /// <summary>Whether an instance is this process: by its key or its id. Before this application is registered, none is.</summary>
    /// <param name="instance">An instance, as <see cref="IServiceDirectory"/> has it.</param>
    bool IsSelf(ServiceInstance instance)
    {
        ArgumentNullException.ThrowIfNull(instance);
        var status = Status;
        return status.Keys.Contains(instance.Key, StringComparer.Ordinal) || (status.InstanceId.Length > 0 && status.InstanceId == instance.InstanceId);
    }

    /// <summary>Changes the weight of all services of this application; the keys are put again.</summary>
    /// <param name="weight">
    /// The weight, 1 to 1,000,000, or 0 for no new calls while others are there. It holds until the next call, until
    /// <see cref="ResetWeightAsync"/>, or to the process's end, whatever the settings say.
    /// </param>
    /// <param name="cancellationToken">Ends the waiting for etcd; the change is made all the same.</param>
    /// <exception cref="ArgumentOutOfRangeException">The weight is out of range.</exception>
    Task SetWeightAsync(int weight, CancellationToken cancellationToken = default);

    /// <summary>Undoes <see cref="SetWeightAsync"/>: the weights are again what the settings say.</summary>
    /// <param name="cancellationToken">Ends the waiting for etcd; the change is made all the same.</param>
    Task ResetWeightAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Takes the application out of service while it runs on: its keys say that it drains, then they are deleted. Called before the
    /// application starts, it stays out of service until <see cref="RestoreAsync"/>, to warm up for example.
    /// </summary>
    /// <param name="cancellationToken">Ends the waiting for etcd; the change is made all the same.</param>
    Task WithdrawAsync(CancellationToken cancellationToken = default);

    /// <summary>Puts the application into service again after <see cref="WithdrawAsync"/>.</summary>
    /// <param name="cancellationToken">Ends the waiting for etcd; the change is made all the same.</param>
    Task RestoreAsync(CancellationToken cancellationToken = default);
}
