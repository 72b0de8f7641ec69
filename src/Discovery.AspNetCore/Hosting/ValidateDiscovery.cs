using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>Says what is wrong with the settings of discovery: each failure names the setting, its value and a valid one.</summary>
internal sealed class ValidateDiscovery(
    ClientCatalog clients, PolicyCatalog policies, LayoutCatalog layouts, ClusterCatalog clusters, IConfiguration? configuration = null)
    : IValidateOptions<EtcdDiscoveryOptions>
{
    private const string Section = Sections.Discovery;

    private static readonly string ExampleDirectory = OperatingSystem.IsWindows() ? @"C:\ProgramData\myapp\discovery" : "/var/lib/myapp/discovery";

    public ValidateOptionsResult Validate(string? name, EtcdDiscoveryOptions options)
    {
        List<string> failures = [.. options.Validate(Section), .. Find(options), .. ValidateInstances(name, options)];
        if (failures.Count == 0)
        {
            return ValidateOptionsResult.Success;
        }

        return ValidateOptionsResult.Fail(string.IsNullOrEmpty(name) ? failures : failures.Select(failure => OfService(failure, clients.ServiceOf(name))));
    }

    /// <summary>Names the service's own setting where that is what is wrong.</summary>
    private string OfService(string failure, string service)
    {
        const string General = $"{Sections.Discovery}:";
        if (failure.StartsWith(General, StringComparison.Ordinal) && !failure.StartsWith(Sections.Services, StringComparison.Ordinal))
        {
            var end = failure.IndexOf(' ', StringComparison.Ordinal);
            var section = $"{Sections.Services}:{service}";
            var own = failure[..end] == Sections.PathOfLayout(configuration, Section)
                ? Sections.PathOfLayout(configuration, section)
                : $"{section}:{failure[General.Length..end]}";
            if (configuration?.GetSection(own).Exists() == true)
            {
                return own + failure[end..];
            }
        }

        return $"{failure} (for service '{service}', where {Sections.Services} counts too)";
    }

    private static string? Problem(bool isWrong, [InterpolatedStringHandlerArgument(nameof(isWrong))] ref ProblemText message) => isWrong ? message.ToString() : null;

    private IEnumerable<string> Find(EtcdDiscoveryOptions options)
    {
        var layoutProblem = layouts.TryParse(options.Layout, out _, out var unreadable)
            ? null
            : $"{Sections.PathOfLayout(configuration, Section)} is '{options.Layout}': {unreadable}.";
        string?[] problems =
        [
            layoutProblem,
            clusters.GetProblem($"{Section}:Cluster", options.Cluster),
            Problem(
                !string.IsNullOrWhiteSpace(options.Policy) && !policies.Names.Contains(options.Policy, StringComparer.OrdinalIgnoreCase),
                $"{Section}:Policy is '{options.Policy}'; there are {string.Join(", ", policies.Names)}, and those that the application "
                + $"registers as IBalancingPolicy."),
            Problem(options.Scheme is not ("http" or "https"), $"{Section}:Scheme is '{options.Scheme}'; it must be http or https."),
            TooShort(nameof(options.ReadyTimeout), options.ReadyTimeout, "00:00:05"),
            TooShort(nameof(options.ConnectTimeout), options.ConnectTimeout, "00:00:02"),
            Problem(
                options.MaxConnectAttempts is < 1 or > 100,
                $"{Section}:MaxConnectAttempts is '{options.MaxConnectAttempts}'; it must be from 1 to 100, e.g. 3."),
            Problem(
                options.RetryBudgetPercent is not (>= 0 and <= 100),
                $"{Section}:RetryBudgetPercent is '{options.RetryBudgetPercent}'; it must be from 0, which sets no limit, to 100, e.g. 20."),
            Problem(
                options.RelistInterval < TimeSpan.FromSeconds(1) || options.RelistInterval > TimeSpan.FromDays(1),
                $"{Section}:RelistInterval is '{options.RelistInterval}'; it must be from 00:00:01 to a day, e.g. 00:05:00."),
            Problem(
                options.HoldDuration < TimeSpan.Zero || options.HoldDuration > TimeSpan.FromDays(1),
                $"{Section}:HoldDuration is '{options.HoldDuration}'; it must be from 0, which is off, to a day, e.g. 00:05:00."),
            Problem(
                Uri.CheckHostName(options.TlsTargetHost) == UriHostNameType.Unknown,
                $"{Section}:TlsTargetHost is '{ForeignText.HideUser(options.TlsTargetHost)}'; it must be service, endpoint or a host name, e.g. greeter.example.com."),
            Problem(
                File.Exists(options.SnapshotDirectory),
                $"{Section}:SnapshotDirectory is '{options.SnapshotDirectory}', which is a file; it must be a directory, e.g. {ExampleDirectory}."),
            Problem(
                options.SnapshotDirectory is { Length: > 0 } directory && (!Path.IsPathFullyQualified(directory) || directory.Any(char.IsControl)),
                $"{Section}:SnapshotDirectory is '{options.SnapshotDirectory}'; it must be an absolute path, as the directory that an application runs in "
                + $"depends on who starts it, e.g. {ExampleDirectory}."),
            SettingText.GetProblem($"{Section}:Zone", options.Zone, "eu-1a"),
            SettingText.GetProblem($"{Section}:ClientId", options.ClientId, "web-0"),
            SettingText.GetProblem($"{Section}:Select:Version", options.Select.Version, "2.1"),
        ];
        return problems.OfType<string>()
            .Concat(options.Split.Where(static s => s.Value is not (>= 0 and <= 100))
                .Select(s => string.Create(CultureInfo.InvariantCulture, $"{Section}:Split:{s.Key} is '{s.Value}'; it must be a share in percent, from 0 to 100, e.g. 5.")))
            .Concat(options.Split.Values.Where(static s => s >= 0).Sum() is > 100 and var sum
                ? [string.Create(CultureInfo.InvariantCulture, $"{Section}:Split gives away {sum} percent of the calls; it must be 100 at most, e.g. 5 for v2, and the rest goes to the other versions.")]
                : [])
            .Concat(options.Select.Metadata.Where(static m => string.IsNullOrEmpty(m.Value))
                .Select(static m => $"{Section}:Select:Metadata:{m.Key} is ''; it must be the text that instances have there, e.g. blue, or be left out."))
            .Concat(options.AllowedNetworks.Where(static n => !IPNetwork.TryParse(n, out _))
                .Select(n => $"{Section}:AllowedNetworks has '{n}'; it must be a network in CIDR form, e.g. 10.0.0.0/8."))
            .Concat(options.AllowedPorts.Where(static p => !AddressFilter.TryParsePorts(p, out _))
                .Select(p => $"{Section}:AllowedPorts has '{p}'; it must be a port or a range, e.g. 5000 or 8000-8999."));
    }

    private IEnumerable<string> ValidateInstances(string? name, EtcdDiscoveryOptions options)
    {
        // As one text: a password may have commas, and its parts look like entries.
        var all = string.Join(',', options.Instances);
        if (string.IsNullOrEmpty(name))
        {
            if (options.Instances.Count > 0)
            {
                yield return $"{Sections.Discovery}:Instances is '{ForeignText.HideUser(all)}', for all services; set it for one, "
                    + $"e.g. {Sections.Services}:greeter:Instances to 127.0.0.1:5001.";
            }

            yield break;
        }

        const string Valid = "valid is e.g. 127.0.0.1:5001 or https://greeter.example.com";
        var setting = $"{Sections.Services}:{clients.ServiceOf(name)}:Instances";
        if (all.Contains('@', StringComparison.Ordinal))
        {
            yield return $"{setting} has '{ForeignText.HideUser(all)}', with a user in it, which no instance has; {Valid}.";
            yield break;
        }

        foreach (var text in options.Instances)
        {
            if (!StaticService.TryRead("service", text, out _, out var problem))
            {
                yield return $"{setting} has '{text}': {problem}; {Valid}.";
            }
        }
    }

    private static string? TooShort(string setting, TimeSpan value, string example)
        => Problem(
            value < TimeSpan.FromMilliseconds(10) || value > TimeSpan.FromDays(1),
            $"{Section}:{setting} is '{value}'; it must be from 00:00:00.01 to a day, e.g. {example}.");
}
