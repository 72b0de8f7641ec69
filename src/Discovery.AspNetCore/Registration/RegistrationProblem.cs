using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>Why nothing can be registered, and which setting helps.</summary>
/// <param name="State">What the registration's status says.</param>
/// <param name="Level">How bad it is: no address at all is usual under a test server.</param>
/// <param name="Message">For operators.</param>
internal sealed partial record RegistrationProblem(ServiceRegistrationState State, LogLevel Level, string Message)
{
    /// <summary>Tells operators.</summary>
    public void Report(ILogger logger) => Log.NothingToAdvertise(logger, Level, Message);

    private static partial class Log
    {
        [LoggerMessage(EventId = 2702, Message = "This application is not registered. {Problem}")]
        public static partial void NothingToAdvertise(ILogger logger, LogLevel level, string problem);
    }
}
