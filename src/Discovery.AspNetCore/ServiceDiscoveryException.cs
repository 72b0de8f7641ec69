namespace Discovery.AspNetCore;

/// <summary>A service could not be resolved. The message names the service, where it was looked for, and what to check.</summary>
public sealed class ServiceDiscoveryException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="serviceName">The service.</param>
    /// <param name="message">The whole message.</param>
    /// <param name="innerException">The cause, if it was an exception.</param>
    public ServiceDiscoveryException(string serviceName, string message, Exception? innerException = null)
        : base(message, innerException) => ServiceName = serviceName;

    /// <summary>The service that could not be resolved.</summary>
    public string ServiceName { get; }
}
