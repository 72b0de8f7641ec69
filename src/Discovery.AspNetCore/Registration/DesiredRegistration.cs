using Discovery.AspNetCore.Registration.Addresses;

namespace Discovery.AspNetCore.Registration;

/// <summary>The settings with the endpoints that they come to on this machine. Immutable.</summary>
/// <param name="Options">The settings, valid.</param>
/// <param name="Endpoints">What is to be advertised; empty when there is nothing, or when registration is switched off.</param>
/// <param name="Problem">Why there is nothing to advertise.</param>
internal sealed record DesiredRegistration(
    EtcdRegistrationOptions Options, IReadOnlyList<AdvertisedEndpoint> Endpoints, RegistrationProblem? Problem = null);
