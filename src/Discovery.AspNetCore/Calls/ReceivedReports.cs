using System.Net.Http.Headers;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.LoadReports;

namespace Discovery.AspNetCore.Calls;

/// <summary>Finds the report of an instance's load that comes with a good answer.</summary>
internal static class ReceivedReports
{
    /// <summary>
    /// Where nobody reports, one answer in so many is looked at, the first of each instance among them: a look costs as much as the pick. A power of two.
    /// </summary>
    private const int LookInterval = 16;

    /// <summary>Looks at the headers, or trailers, of an answer.</summary>
    public static void Learn(HttpResponseHeaders headers, InstanceState instance)
    {
        if (!instance.Context.ReportedLoad.IsReported && (instance.Calls & (LookInterval - 1)) != 1)
        {
            return;
        }

        if (headers.NonValidated.TryGetValues(LoadReport.HeaderName, out var values))
        {
            Learn(values.ToString(), instance);
        }
    }

    /// <summary>Looks at a report.</summary>
    public static void Learn(string text, InstanceState instance)
    {
        var isReadable = LoadReport.TryReadInFlight(text, out var inFlight);
        instance.Context.Metrics?.OnLoadReport(isReadable);
        if (inFlight is { } calls && isReadable)
        {
            instance.OnLoadReport(calls);
        }
    }
}
