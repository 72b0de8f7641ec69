using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Registration;

/// <summary>
/// The settings as they are now. An options monitor would throw at whoever changed the file, from a thread of the file watcher, when
/// they became invalid; here such a change is logged, and what was valid goes on.
/// </summary>
internal sealed partial class RegistrationSettings(
    IOptions<EtcdRegistrationOptions> initial,
    IOptionsFactory<EtcdRegistrationOptions> factory,
    IConfiguration configuration,
    ILogger<RegistrationSettings> logger)
{
    /// <summary>The settings at start, validated.</summary>
    public EtcdRegistrationOptions Current => initial.Value;

    /// <summary>Calls back with the whole settings whenever the configuration was reloaded and is valid.</summary>
    public IDisposable OnChange(Action<EtcdRegistrationOptions> callback) => ChangeToken.OnChange(configuration.GetReloadToken, () =>
    {
        try
        {
            callback(factory.Create(Options.DefaultName));
        }
        catch (Exception e) when (e is OptionsValidationException or InvalidOperationException or FormatException)
        {
            Log.NotUsed(logger, e.Message);
        }
    });

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "The changed registration settings are not used: {Problem}")]
        public static partial void NotUsed(ILogger logger, string problem);
    }
}
