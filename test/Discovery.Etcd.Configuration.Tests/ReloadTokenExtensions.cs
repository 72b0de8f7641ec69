using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Primitives;

namespace Discovery.Etcd.Configuration.Tests;

internal static class ReloadTokenExtensions
{
    /// <summary>Calls back after each change of a configuration.</summary>
    public static IDisposable GetReloadTokenChanges(this IConfiguration configuration, Action onChange) =>
        ChangeToken.OnChange(configuration.GetReloadToken, onChange);
}
