using Discovery.AspNetCore.Clusters;

namespace Discovery.AspNetCore.Registration;

/// <summary>Whether the application means to be called, by its registrations in all clusters.</summary>
internal sealed class ServiceAvailability
{
    private readonly List<RegistrationService> _registrations;

    public ServiceAvailability(ClusterCatalog clusters, IServiceProvider services)
    {
        _registrations = [.. clusters.Registering.Select(c => c.GetService<RegistrationService>(services))];
        foreach (var registration in _registrations)
        {
            registration.ServiceChanged += () => Changed?.Invoke();
        }
    }

    /// <summary>Is raised when <see cref="IsInService"/> may have changed, before etcd is told. Handlers must neither throw nor wait.</summary>
    public event Action? Changed;

    /// <summary>Not while the application stops, nor while it is withdrawn from all clusters.</summary>
    public bool IsInService => _registrations.Count == 0 || _registrations.Exists(static r => r.IsInService);
}
