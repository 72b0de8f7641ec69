using Discovery.Etcd.Configuration;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.Configuration;

/// <summary>Adds configuration from etcd.</summary>
public static class EtcdConfigurationExtensions
{
    /// <summary>
    /// Adds the keys under a prefix: plain keys (<c>config/shop/Smtp/Host</c> is the setting <c>Smtp:Host</c>) and JSON documents. They are reloaded as
    /// they change, all keys of a transaction at once. They go before the sources that were added earlier.
    /// </summary>
    /// <remarks>
    /// etcd is reached as the section <c>Etcd</c> of the configuration built so far says (<c>Etcd:Endpoints</c>, <c>Username</c>, <c>Tls</c>, or the
    /// connection string <c>etcd</c>), read once, now. The first load waits for etcd up to <see cref="EtcdConfigurationOptions.ReadyTimeout"/>; with a
    /// <c>ConfigurationManager</c>, as <c>WebApplicationBuilder</c> has it, that is now too.
    /// </remarks>
    /// <param name="builder">The configuration.</param>
    /// <param name="prefix">The prefix, e.g. <c>config/shop/</c>; a slash is put after it where it has none.</param>
    /// <param name="configure">Changes the options; default: required, as <see cref="EtcdConfigurationOptions"/> says.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="ArgumentException">The prefix is empty.</exception>
    /// <exception cref="OptionsValidationException">A setting is wrong; the message names it, its value and a valid one.</exception>
    /// <exception cref="InvalidOperationException">A setting cannot be read; or the configuration is required, loads now, and could not be had in time.</exception>
    public static IConfigurationBuilder AddEtcd(
        this IConfigurationBuilder builder, string prefix, Action<EtcdConfigurationOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(prefix);
        if (prefix.Trim('/').Length == 0)
        {
            throw new ArgumentException($"The prefix '{prefix}' would make all of etcd configuration; name the part that is, e.g. config/shop/.", nameof(prefix));
        }

        var options = new EtcdConfigurationOptions();
        configure?.Invoke(options);
        options.Validate();
        return builder.Add(new EtcdConfigurationSource(prefix.EndsWith('/') ? prefix : prefix + "/", options, ClientSettings.Read(builder, options)));
    }
}
