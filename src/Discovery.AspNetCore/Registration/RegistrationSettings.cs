using System.Text.Json;
using System.Text.Json.Serialization;
using Discovery.AspNetCore.Clusters;
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
    Cluster cluster,
    IOptions<EtcdRegistrationOptions> initial,
    IOptionsFactory<EtcdRegistrationOptions> factory,
    IConfiguration configuration,
    ILogger<IServiceRegistration> logger)
{
    private readonly IChangeToken _sinceStart = configuration.GetReloadToken();
    private readonly Lazy<EtcdRegistrationOptions> _initial = new(() => Usable(initial.Value), LazyThreadSafetyMode.PublicationOnly);
    private volatile EtcdRegistrationOptions? _changed;
    private volatile string? _notUsed;

    /// <summary>The last valid settings. The same object as long as they are the same: files are reloaded for whatever changes in them.</summary>
    public EtcdRegistrationOptions Current => _changed ?? _initial.Value;

    /// <summary>Calls back whenever the configuration was reloaded and is valid; <see cref="Current"/> is up to date then.</summary>
    public IDisposable OnChange(Action callback)
    {
        // Read before the first change, for it is what goes on if that one is not valid.
        _changed = Current;
        var subscription = ChangeToken.OnChange(configuration.GetReloadToken, Reload);

        // The first health check may have taken long, and nobody listened meanwhile.
        if (_sinceStart.HasChanged)
        {
            Reload();
        }

        return subscription;

        void Reload()
        {
            if (TryRead())
            {
                callback();
            }
        }
    }

    private bool TryRead()
    {
        try
        {
            var changed = Usable(factory.Create(cluster.OptionsName));
            WarnOfFixed(changed);
            if (Current.Enabled && !changed.Enabled)
            {
                Log.SwitchedOff(logger);
            }

            _changed = IsSame(changed, Current) ? Current : changed;
            _notUsed = null;
            return true;
        }
        catch (Exception e)
        {
            // Whatever a broken file leads to, also in the application's own code: what was valid goes on.
            if (_notUsed != e.Message)
            {
                _notUsed = e.Message;
                Log.NotUsed(logger, e.Message);
            }

            return false;
        }
    }

    private static EtcdRegistrationOptions Usable(EtcdRegistrationOptions options) => options.Enabled ? options : DisabledSettings.From(options);

    private static bool IsSame(EtcdRegistrationOptions one, EtcdRegistrationOptions other)
        => JsonSerializer.Serialize(one, Json.Default.EtcdRegistrationOptions) == JsonSerializer.Serialize(other, Json.Default.EtcdRegistrationOptions);

    private void WarnOfFixed(EtcdRegistrationOptions changed)
    {
        var now = Current;
        foreach (var (setting, differs) in new[]
        {
            (nameof(now.InstanceId), changed.InstanceId != now.InstanceId),
            (nameof(now.TimeToLive), changed.TimeToLive != now.TimeToLive),
            (nameof(now.FailFast), changed.FailFast != now.FailFast),
            (nameof(now.StartWithdrawn), changed.StartWithdrawn != now.StartWithdrawn),
        })
        {
            if (differs)
            {
                Log.NeedsRestart(logger, setting);
            }
        }
    }

    [JsonSerializable(typeof(EtcdRegistrationOptions))]
    private sealed partial class Json : JsonSerializerContext;

    private static partial class Log
    {
        [LoggerMessage(2733, LogLevel.Information, "Etcd:Registration:Enabled was changed to false: this application leaves etcd.")]
        public static partial void SwitchedOff(ILogger logger);

        [LoggerMessage(2731, LogLevel.Error, "The changed registration settings are not used: {Problem}")]
        public static partial void NotUsed(ILogger logger, string problem);

        [LoggerMessage(2732, LogLevel.Warning, "Etcd:Registration:{Setting} was changed; that has no effect before the next start.")]
        public static partial void NeedsRestart(ILogger logger, string setting);
    }
}
