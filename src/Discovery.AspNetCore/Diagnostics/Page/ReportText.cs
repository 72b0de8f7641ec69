using System.Globalization;
using System.Text;
using Discovery.AspNetCore.Layouts;

namespace Discovery.AspNetCore.Diagnostics.Page;

/// <summary>The report as tables for a terminal.</summary>
internal static class ReportText
{
    private const int MaxColumn = 48;

    private const int MaxLength = 300;

    public static string Write(DiscoveryReport report)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Clean(report.Application)} on {Clean(report.Machine)}, {report.Time:u}\n\n");
        if (report.Endpoints.Count > 0)
        {
            Table(text, ["ETCD", "CLUSTER", "USED FOR", "NOTE"], report.Endpoints.Select(static e => new[]
            {
                e.Url,
                e.Cluster ?? "default",
                string.Join(", ", new[] { e.Calls ? "calls" : "", e.Streams ? "watches and leases" : "" }.Where(static u => u.Length > 0)),
                e.Foreign ? "belongs to another cluster, not used" : e.PauseSeconds > 0 ? Invariant($"failed, left alone for {e.PauseSeconds:0.0} s") : "",
            }));
        }

        foreach (var own in report.Registrations)
        {
            text.Append(CultureInfo.InvariantCulture, $"REGISTRATION {own.State}{(own.Cluster is null ? "" : " in " + own.Cluster)} as {Clean(own.InstanceId)}");
            text.Append(own.Lease.Length == 0 ? ", no lease\n" : Invariant($", lease {own.Lease} for {own.RemainingSeconds:0.0} of {own.TimeToLiveSeconds:0.#} s\n"));
            foreach (var key in own.Keys)
            {
                text.Append("  ").Append(Clean(key)).Append('\n');
            }

            if (own.Error is not null)
            {
                text.Append("  ").Append(Clean(own.Error)).Append('\n');
            }

            text.Append('\n');
        }

        var details = report.Details.ToDictionary(static d => d.Id, StringComparer.Ordinal);
        foreach (var service in report.Services)
        {
            Write(text, service, details.GetValueOrDefault(service.Id));
        }

        if (report.Changes.Count > 0)
        {
            Table(text, ["TIME", "SERVICE", "CHANGE", ""], report.Changes.Take(20).Select(static c => new[]
            {
                c.Time.ToString("HH:mm:ss", CultureInfo.InvariantCulture), c.Service ?? "", c.Kind, c.What,
            }));
        }

        return text.ToString();
    }

    private static void Write(StringBuilder text, ServiceReport service, InstancesReport? details)
    {
        text.Append("SERVICE ").Append(Clean(service.Name));
        if (service.Cluster is not null)
        {
            text.Append(" in ").Append(Clean(service.Cluster));
        }

        if (service.Client is not null)
        {
            text.Append(" as ").Append(Clean(service.Client)).Append(" calls it");
        }

        text.Append(", ").Append(Clean(service.Prefix));
        text.Append(service.Policy is null ? ", no calls counted" : Invariant($", {Clean(service.Policy)}, {service.Calls} calls, {service.InFlight} in flight"));
        text.Append(Invariant($", revision {service.Revision}"));
        text.Append(service.AgeSeconds is { } age ? Invariant($", confirmed {age:0.0} s ago") : ", never confirmed by etcd");
        text.Append(service.Connected ? "" : ", NOT WATCHED NOW");
        text.Append(service.Skipped > 0 ? Invariant($", {service.Skipped} records skipped") : "").Append('\n');
        if (service.Error is not null)
        {
            text.Append("  ").Append(Clean(service.Error)).Append('\n');
        }

        if (details is { Rows.Count: > 0 })
        {
            Table(
                text,
                ["  ADDRESS", "STATE", "ZONE", "VERSION", "WEIGHT", "CALLS", "SHARE", "IN FLIGHT", "LATENCY", "FAILED", "WHY"],
                details.Rows.Select(static r => new[]
                {
                    "  " + r.Address,
                    r.EjectedSeconds > 0 ? Invariant($"{r.State} {r.EjectedSeconds:0.0} s") : r.State,
                    r.Zone ?? "",
                    r.Version ?? "",
                    Invariant($"{r.Weight}"),
                    Invariant($"{r.Calls}"),
                    Invariant($"{r.Share * 100:0.0} %"),
                    Invariant($"{r.InFlight}"),
                    r.LatencyMilliseconds is { } latency ? Invariant($"{latency:0.0} ms") : "",
                    Invariant($"{r.FailureRate * 100:0} %"),
                    r.Why ?? "",
                }));
            if (details.Matching > details.Rows.Count)
            {
                text.Append(CultureInfo.InvariantCulture, $"  and {details.Matching - details.Rows.Count} others (?filter=, ?rows=)\n\n");
            }
        }
        else
        {
            text.Append(details is null ? "\n" : "  no instance\n\n");
        }
    }

    private static void Table(StringBuilder text, string[] head, IEnumerable<string[]> rows)
    {
        List<string[]> all = [head, .. rows.Select(static r => r.Select(Clean).ToArray())];
        var widths = Enumerable.Range(0, head.Length - 1).Select(c => Math.Min(MaxColumn, all.Max(r => r[c].Length))).ToArray();
        foreach (var row in all)
        {
            var line = new StringBuilder();
            for (var c = 0; c < widths.Length; c++)
            {
                line.Append(row[c].PadRight(widths[c])).Append("  ");
            }

            text.Append(line.Append(row[^1]).ToString().TrimEnd()).Append('\n');
        }

        text.Append('\n');
    }

    /// <summary>What comes from etcd must not steer a terminal.</summary>
    private static string Clean(string text) => ForeignText.Show(text, MaxLength);

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
