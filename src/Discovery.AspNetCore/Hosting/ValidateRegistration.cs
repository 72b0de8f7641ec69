using System.Net;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Hosting.Settings;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Registration;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>Says what is wrong with the registration's settings: each failure names the setting, its value and a valid one.</summary>
internal sealed class ValidateRegistration(IOptions<HostOptions> host, LayoutCatalog layouts, IConfiguration configuration)
    : IValidateOptions<EtcdRegistrationOptions>
{
    private const string Section = Sections.Registration;

    public ValidateOptionsResult Validate(string? name, EtcdRegistrationOptions options)
    {
        if (!options.Enabled)
        {
            return ValidateOptionsResult.Success;
        }

        List<string> failures =
        [
            .. Names(options), .. Content(options), .. Addresses(options), .. Times(options), .. Health(options.Health),
        ];
        if (failures.Count == 0)
        {
            return ValidateOptionsResult.Success;
        }

        var suffix = string.IsNullOrEmpty(name) ? "" : $" (for cluster '{name}', where {Cluster.SectionOf(name)}:Registration counts too)";
        return ValidateOptionsResult.Fail([.. failures.Select(failure => failure + suffix), .. MissingSettings.OfRegistration(configuration)]);
    }

    private IEnumerable<string> Names(EtcdRegistrationOptions options)
    {
        if (string.IsNullOrWhiteSpace(options.ServiceName) && options.Services.Count == 0)
        {
            yield return $"{Section}:ServiceName is missing: it is the name by which clients find this application, e.g. greeter.";
        }
        else if (!string.IsNullOrEmpty(options.ServiceName) && ServiceNames.GetProblem(options.ServiceName) is { } problem)
        {
            yield return $"{Section}:ServiceName: {problem}.";
        }

        if (!RegistrationLimits.IsInstanceId(options.InstanceId))
        {
            yield return $"{Section}:InstanceId is '{options.InstanceId}'; it must be a text without control characters, e.g. greeter-1, or unset for one "
                + "that no other process has.";
        }

        if (!layouts.TryParse(options.Layout, out _, out var layoutProblem))
        {
            yield return $"{Sections.PathOfLayout(configuration, Section)} is '{options.Layout}': {layoutProblem}.";
        }

        foreach (var (name, service) in options.Services)
        {
            if (ServiceNames.GetProblem(name) is { } nameProblem)
            {
                yield return $"{Section}:Services: {nameProblem}.";
            }

            if (service.Layout is not null && !layouts.TryParse(service.Layout, out _, out layoutProblem))
            {
                yield return $"{Sections.PathOfLayout(configuration, $"{Section}:Services:{name}")} is '{service.Layout}': {layoutProblem}.";
            }
        }
    }

    private static IEnumerable<string> Content(EtcdRegistrationOptions options)
    {
        var texts = options.Services.Select(s => ($"{Section}:Services:{s.Key}:Version", s.Value.Version, "2.1"))
            .Concat(options.Services.SelectMany(s => s.Value.Tags.Select((tag, i) => ($"{Section}:Services:{s.Key}:Tags:{i}", (string?)tag, "canary"))))
            .Concat(options.Tags.Select((tag, i) => ($"{Section}:Tags:{i}", (string?)tag, "canary")))
            .Prepend(($"{Section}:Zone", options.Zone, "eu-1a"))
            .Prepend(($"{Section}:Version", options.Version, "2.1"));
        foreach (var (setting, text, example) in texts)
        {
            if (SettingText.GetProblem(setting, text, example) is { } problem)
            {
                yield return problem;
            }
        }

        var weights = options.Services.Select(s => ($"{Section}:Services:{s.Key}:Weight", s.Value.Weight))
            .Prepend(($"{Section}:Weight", options.Weight));
        foreach (var (setting, weight) in weights)
        {
            if (weight is < 0 or > ServiceInstance.MaxWeight)
            {
                yield return $"{setting} is '{weight}'; it must be from 0 to {ServiceInstance.MaxWeight}, e.g. {ServiceInstance.DefaultWeight}.";
            }
        }

        var metadata = options.Services.Select(s => ($"{Section}:Services:{s.Key}:Metadata", s.Value.Metadata))
            .Concat(options.Endpoints.Select(e => ($"{Section}:Endpoints:{e.Key}:Metadata", e.Value.Metadata)))
            .Prepend(($"{Section}:Metadata", options.Metadata));
        foreach (var (setting, names) in metadata)
        {
            foreach (var taken in names.Keys.Where(InstanceMetadata.Reserved.Contains))
            {
                yield return $"{setting}:{taken} uses a name that is taken; use another one, e.g. x-{taken}.";
            }
        }
    }

    private static IEnumerable<string> Addresses(EtcdRegistrationOptions options)
    {
        // As one text: a password may have commas, and its parts look like entries.
        var all = string.Join(',', options.AdvertisedUrls);
        var isOneText = options.AdvertisedUrls.Count > 1 && all.Contains('@', StringComparison.Ordinal);
        var urls = (isOneText ? [($"{Section}:AdvertisedUrls", all)] : options.AdvertisedUrls.Select((url, i) => ($"{Section}:AdvertisedUrls:{i}", url)))
            .Concat(options.Endpoints.Where(static e => e.Value.AdvertisedUrl is not null)
                .Select(static e => ($"{Section}:Endpoints:{e.Key}:AdvertisedUrl", e.Value.AdvertisedUrl!)));
        foreach (var (setting, url) in urls)
        {
            if (url.Contains('@', StringComparison.Ordinal) || !Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https")
                || uri.PathAndQuery != "/"
                || !ServiceAddress.TryParse($"{Bracketed(uri.DnsSafeHost)}:{uri.Port}", out _, out _))
            {
                yield return $"{setting} is '{ForeignText.HideUser(url)}'; it must be an http or https URL that others can dial, e.g. http://10.0.0.1:5000.";
            }
        }

        if (options.AdvertisedHost is { } host && !ServiceAddress.TryParse($"{Bracketed(host)}:1", out _, out _))
        {
            yield return $"{Section}:AdvertisedHost is '{ForeignText.HideUser(host)}'; it must be a host name or an IP address that others can dial, e.g. 10.0.0.1.";
        }

        if (options.AdvertisedPort is < 1 or > ushort.MaxValue)
        {
            yield return $"{Section}:AdvertisedPort is '{options.AdvertisedPort}'; it must be from 1 to 65535, e.g. 5000.";
        }

        foreach (var (network, i) in options.PreferredNetworks.Select(static (n, i) => (n, i)))
        {
            if (!IPNetwork.TryParse(network, out _))
            {
                yield return $"{Section}:PreferredNetworks:{i} is '{network}'; it must be a network in CIDR form, e.g. 10.0.0.0/8.";
            }
        }
    }

    private static IEnumerable<string> Health(RegistrationHealthOptions health)
    {
        foreach (var (setting, value, example) in new[] { ("Interval", health.Interval, "00:00:05"), ("Timeout", health.Timeout, "00:00:10") })
        {
            if (!RegistrationLimits.IsLimit(value))
            {
                yield return $"{Section}:Health:{setting} is '{value}'; it must be from 00:00:00.1 to {RegistrationLimits.LongestPhase}, e.g. {example}.";
            }
        }

        foreach (var (setting, value) in new[] { ("UnhealthyThreshold", health.UnhealthyThreshold), ("HealthyThreshold", health.HealthyThreshold) })
        {
            if (value is < 1 or > 1000)
            {
                yield return $"{Section}:Health:{setting} is '{value}'; it must be from 1 to 1000, e.g. 2.";
            }
        }

        if (SettingText.GetProblem($"{Section}:Health:Tag", health.Tag, "ready") is { } tagProblem)
        {
            yield return tagProblem;
        }

        if (health.MinimumInstances < 0)
        {
            yield return $"{Section}:Health:MinimumInstances is '{health.MinimumInstances}'; it must be 0 or more, e.g. 1.";
        }
    }

    private static string Bracketed(string host) => host.Contains(':', StringComparison.Ordinal) && host[0] != '[' ? $"[{host}]" : host;

    private IEnumerable<string> Times(EtcdRegistrationOptions options)
    {
        if (!RegistrationLimits.IsTimeToLive(options.TimeToLive))
        {
            yield return $"{Section}:TimeToLive is '{options.TimeToLive}'; it must be whole seconds from {RegistrationLimits.LeastTimeToLive} to "
                + $"{RegistrationLimits.MostTimeToLive}, e.g. 00:00:10.";
        }

        var areInRange = true;
        foreach (var (setting, value, isValid, least) in new[]
        {
            ("DrainDelay", options.DrainDelay, RegistrationLimits.IsDelay(options.DrainDelay), TimeSpan.Zero),
            ("LeaveDelay", options.LeaveDelay, RegistrationLimits.IsDelay(options.LeaveDelay), TimeSpan.Zero),
            ("StopTimeout", options.StopTimeout, RegistrationLimits.IsLimit(options.StopTimeout), RegistrationLimits.LeastLimit),
        })
        {
            if (!isValid)
            {
                areInRange = false;
                yield return $"{Section}:{setting} is '{value}'; it must be from {least} to {RegistrationLimits.LongestPhase}, e.g. 00:00:01.";
            }
        }

        var limit = host.Value.ShutdownTimeout;
        var delays = options.GracefulStop ? options.DrainDelay + options.LeaveDelay : TimeSpan.Zero;
        if (areInRange && limit != Timeout.InfiniteTimeSpan && delays + (2 * options.StopTimeout) is var longest && longest >= limit)
        {
            var delaysShown = options.GracefulStop ? $"{Section}:DrainDelay '{options.DrainDelay}' + LeaveDelay '{options.LeaveDelay}' + twice " : $"twice {Section}:";
            yield return $"Stopping may take {longest} ({delaysShown}StopTimeout '{options.StopTimeout}'), but HostOptions.ShutdownTimeout is '{limit}'. Shorten them, or set the latter to "
                + $"more than that, e.g. {longest + TimeSpan.FromSeconds(10)}.";
        }
    }
}
