using System.Security.Cryptography;

namespace Discovery.AspNetCore.Registration;

/// <summary>The id of this process.</summary>
internal static class InstanceIdGenerator
{
    /// <summary>The id that is set, or one that no other process has.</summary>
    public static string Get(EtcdRegistrationOptions options)
        => string.IsNullOrEmpty(options.InstanceId)
            ? $"{Environment.MachineName.ToLowerInvariant()}-{RandomNumberGenerator.GetHexString(8, lowercase: true)}"
            : options.InstanceId;
}
