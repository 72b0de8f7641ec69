using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Hosting.Settings;
using Discovery.AspNetCore.Layouts;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.ServiceDiscovery.Hosting;

/// <summary>Reads <c>Etcd:ServiceDiscovery</c>, and says what is wrong with it.</summary>
internal sealed class ConfigureServiceEndpointProvider(IConfiguration configuration)
    : IConfigureOptions<EtcdServiceEndpointProviderOptions>, IValidateOptions<EtcdServiceEndpointProviderOptions>
{
    public const string Name = "ServiceDiscovery";

    private const string SectionPath = $"Etcd:{Name}";

    public static SettingShape Shape { get; } = SettingShape.Section<EtcdServiceEndpointProviderOptions>();

    public void Configure(EtcdServiceEndpointProviderOptions options)
    {
        var section = configuration.GetSection(SectionPath);
        Sections.Bind(section, typeof(EtcdServiceEndpointProviderOptions), Shape, () => section.Bind(options));
    }

    public ValidateOptionsResult Validate(string? name, EtcdServiceEndpointProviderOptions options)
    {
        List<string> failures = [];
        if (options.MinChangeInterval < TimeSpan.Zero || options.MinChangeInterval > TimeSpan.FromMinutes(1))
        {
            failures.Add($"{SectionPath}:MinChangeInterval is '{options.MinChangeInterval}'; it must be from 0 to a minute, e.g. 00:00:00.1.");
        }

        if (!Enum.IsDefined(options.WhenEmpty))
        {
            failures.Add($"{SectionPath}:WhenEmpty is '{options.WhenEmpty}'; it must be FallThrough or Fail.");
        }

        foreach (var (host, service) in options.ServiceNames)
        {
            if (Uri.CheckHostName(host) == UriHostNameType.Unknown)
            {
                failures.Add($"{SectionPath}:ServiceNames:{host} is '{ForeignText.HideUser(service)}', but '{host}' cannot be the host of a URI, e.g. user-service.");
            }

            if (ServiceNames.GetProblem(service) is { } problem)
            {
                failures.Add($"{SectionPath}:ServiceNames:{host} is '{ForeignText.HideUser(service)}': {problem}.");
            }
        }

        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}
