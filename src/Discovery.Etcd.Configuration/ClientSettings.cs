using Discovery.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.Etcd.Configuration;

/// <summary>How etcd is reached, by the configuration built so far.</summary>
internal static class ClientSettings
{
    public static EtcdClientOptions Read(IConfigurationBuilder builder, EtcdConfigurationOptions options)
    {
        var client = new EtcdClientOptions();
        if (builder is IConfiguration live)
        {
            Read(live, options, client);
        }
        else
        {
            var built = builder.Build();
            try
            {
                Read(built, options, client);
            }
            finally
            {
                (built as IDisposable)?.Dispose();
            }
        }

        options.ConfigureClient?.Invoke(client);
        List<string> failures = [.. client.Validate(options.Section)];
        if (client.Endpoints.Count == 0)
        {
            failures.Add(EtcdConnectionString.DescribeInstead(ConfigurationPath.GetSectionKey(options.Section) is var name
                && name.Equals(Sections.ConnectionString, StringComparison.OrdinalIgnoreCase) ? Sections.ConnectionString : name) + ".");
        }

        return failures.Count == 0 ? client : throw new OptionsValidationException(options.Section, typeof(EtcdClientOptions), failures);
    }

    private static void Read(IConfiguration configuration, EtcdConfigurationOptions options, EtcdClientOptions client) =>
        EtcdClientSection.Read(configuration, options.Section, ConfigurationPath.GetSectionKey(options.Section), client);
}
