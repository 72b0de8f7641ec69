using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace Discovery.AspNetCore.Diagnostics.Page;

/// <summary>Of which services the instances are wanted, and which of them.</summary>
/// <param name="Open">The ids of the services; null for all.</param>
/// <param name="Filter">What a row, or the service's name, must contain.</param>
/// <param name="Rows">How many rows of a service at most.</param>
internal sealed record ReportQuery(IReadOnlySet<string>? Open, string Filter, int Rows)
{
    private const int DefaultRows = 200;

    private const int MaxRows = 10_000;

    /// <summary>Reads the query of a request: <c>open</c> once for each service, <c>filter</c>, <c>rows</c>.</summary>
    /// <param name="query">The query.</param>
    /// <param name="openAll">Whether all services are open where the query names none.</param>
    public static ReportQuery Parse(IQueryCollection query, bool openAll)
    {
        var open = query["open"];
        var rows = int.TryParse(query["rows"], CultureInfo.InvariantCulture, out var number) ? Math.Clamp(number, 0, MaxRows) : DefaultRows;
        return new ReportQuery(
            open.Count == 0 && openAll ? null : open.OfType<string>().ToHashSet(StringComparer.Ordinal),
            query["filter"].ToString(),
            rows);
    }

    public bool IsOpen(string id) => Open is null || Open.Contains(id);

    public bool Fits(string serviceName, InstanceReport row)
        => Filter.Length == 0
            || serviceName.Contains(Filter, StringComparison.OrdinalIgnoreCase)
            || new[] { row.Address, row.State, row.InstanceId, row.Zone, row.Version, row.Key }
                .Any(text => text?.Contains(Filter, StringComparison.OrdinalIgnoreCase) == true);
}
