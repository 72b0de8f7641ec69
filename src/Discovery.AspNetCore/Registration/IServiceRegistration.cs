namespace Discovery.AspNetCore;

/// <summary>What a registration is doing.</summary>
public enum ServiceRegistrationState
{
    /// <summary>The application has not started yet.</summary>
    NotStarted,

    /// <summary>Registration is switched off by <see cref="EtcdRegistrationOptions.Enabled"/>.</summary>
    Disabled,

    /// <summary>
    /// There is nothing to register: the server has no address that others can dial. <see cref="ServiceRegistrationStatus.LastError"/>
    /// says why and which setting helps.
    /// </summary>
    NoAddress,

    /// <summary>The keys are being put, for the first time or after etcd was away or the lease was lost.</summary>
    Registering,

    /// <summary>All keys stand in etcd.</summary>
    Registered,

    /// <summary>The application was withdrawn by <see cref="IServiceRegistration.WithdrawAsync"/>.</summary>
    Withdrawn,

    /// <summary>The application withdrew because its health checks fail; it comes back by itself.</summary>
    Unhealthy,

    /// <summary>The application stops: it has said so, and serves on for a moment.</summary>
    Draining,

    /// <summary>The application left: the keys are gone, or run out with their lease when etcd was away.</summary>
    Stopped,
}

/// <summary>A registration at a moment.</summary>
/// <param name="State">What it is doing.</param>
/// <param name="InstanceId">The id of this process.</param>
/// <param name="Keys">The keys that stand, or are to stand, in etcd.</param>
/// <param name="LeaseId">The lease; 0 while there is none.</param>
/// <param name="LastError">The last failure since all was well, or what needs an operator's attention, or <see langword="null"/>.</param>
public sealed record ServiceRegistrationStatus(
    ServiceRegistrationState State, string InstanceId, IReadOnlyList<string> Keys, long LeaseId, Exception? LastError);

/// <summary>
/// This application's registration, to look at and to steer. What is wanted may be said at any time, even before the application has
/// started, and holds; the tasks tell when etcd has it. After the application has stopped, nothing has an effect any more.
/// </summary>
public interface IServiceRegistration
{
    /// <summary>How the registration stands.</summary>
    ServiceRegistrationStatus Status { get; }

    /// <summary>Changes the weight of all services of this application; the keys are put again.</summary>
    /// <param name="weight">The weight, 1 to 1,000,000. It holds until the next call or the process's end, whatever the settings say.</param>
    /// <param name="cancellationToken">Ends the waiting for etcd; the change is made all the same.</param>
    /// <exception cref="ArgumentOutOfRangeException">The weight is out of range.</exception>
    Task SetWeightAsync(int weight, CancellationToken cancellationToken = default);

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
