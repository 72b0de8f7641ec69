using System.Globalization;

namespace Discovery.AspNetCore.Diagnostics.Prometheus;

/// <summary>
/// What Prometheus is told of a target. Labels beginning with <c>__</c> are for its relabelling and are dropped afterwards, so whatever a
/// record says cannot end up in a metric unasked.
/// </summary>
internal static class TargetLabels
{
    public const string Service = "__meta_etcd_service";

    private const string Prefix = "__meta_etcd_";

    public static Dictionary<string, string> Of(ListedService service, ServiceInstance instance)
    {
        var labels = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            [Service] = service.ServiceName,
            [Prefix + "key"] = instance.Key,
            [Prefix + "endpoint"] = instance.EndpointName,
            [Prefix + "weight"] = instance.Weight.ToString(CultureInfo.InvariantCulture),
            [Prefix + "draining"] = instance.IsDraining ? "true" : "false",
        };
        (string Name, string? Value)[] others =
        [
            ("__scheme__", instance.Scheme),
            (Prefix + "cluster", service.Cluster),
            (Prefix + "instance_id", instance.InstanceId),
            (Prefix + "zone", instance.Zone),
            (Prefix + "version", instance.Version),

            // With commas around, so that an expression can look for ,tag, whereever it stands.
            (Prefix + "tags", instance.Tags.Count == 0 ? null : $",{string.Join(',', instance.Tags)},"),
        ];
        foreach (var (name, value) in others)
        {
            if (!string.IsNullOrEmpty(value))
            {
                labels[name] = value;
            }
        }

        Add(labels, Prefix + "metadata_", instance.Metadata);
        return labels;
    }

    /// <summary>Adds labels whose names may be anything. Of names that become the same, the first in ordinal order counts.</summary>
    public static void Add(Dictionary<string, string> labels, string prefix, IEnumerable<KeyValuePair<string, string>> values)
    {
        foreach (var (name, value) in values.OrderBy(static v => v.Key, StringComparer.Ordinal))
        {
            labels.TryAdd(ToName(prefix + name), value);
        }
    }

    /// <summary>A name that every version of Prometheus accepts.</summary>
    private static string ToName(string text)
    {
        var name = string.Concat(text.Select(static c => char.IsAsciiLetterOrDigit(c) ? c : '_'));
        return name.Length == 0 || char.IsAsciiDigit(name[0]) ? "_" + name : name;
    }
}
