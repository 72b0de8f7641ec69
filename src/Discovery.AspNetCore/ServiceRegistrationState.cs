using System.Text.Json.Serialization;

namespace Discovery.AspNetCore;

/// <summary>What a registration is doing. In JSON its name.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ServiceRegistrationState>))]
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

    /// <summary>
    /// There is nothing to register: the settings name endpoints that the server does not have, switch all off, or do not choose between
    /// endpoints that a client could not tell apart; or those that clients can dial are plainly for operators. <see cref="ServiceRegistrationStatus.LastError"/> says which.
    /// </summary>
    NoEndpoint,

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
