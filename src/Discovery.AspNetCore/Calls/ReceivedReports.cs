using System.Net.Http.Headers;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.LoadReports;

namespace Discovery.AspNetCore.Calls;

/// <summary>Finds the report of an instance's load that comes with a good answer.</summary>
internal static class ReceivedReports
{
    /// <summary>Looks at the headers, or trailers, of an answer.</summary>
    public static void Learn(HttpResponseHeaders headers, InstanceState instance)
    {
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
