using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>Why nothing can be registered, and which setting helps.</summary>
/// <param name="State">What the registration's status says.</param>
/// <param name="Level">How bad it is: no address at all is usual under a test server.</param>
/// <param name="Message">For operators.</param>
internal sealed record RegistrationProblem(ServiceRegistrationState State, LogLevel Level, string Message);
