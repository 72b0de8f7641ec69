using System.Diagnostics;

namespace Discovery.AspNetCore.Diagnostics.Tracing;

/// <summary>
/// The trace context that a request carries. System.Net.Http writes it once: where the same request is sent again, to another instance or by
/// a handler above that retries, it would still name the attempt before, and the server would appear below the wrong one.
/// </summary>
internal static class TraceHeaders
{
    private const string TraceParent = "traceparent";

    /// <summary>Removes what an earlier attempt within the current trace left. What the application wrote for the current activity stays.</summary>
    public static void RemoveStale(HttpRequestMessage request)
    {
        if (Activity.Current is not { IdFormat: ActivityIdFormat.W3C } current
            || !request.Headers.NonValidated.TryGetValues(TraceParent, out var values)
            || !ActivityContext.TryParse(values.ToString(), traceState: null, out var sent)
            || sent.TraceId != current.TraceId
            || sent.SpanId == current.SpanId
            || sent.SpanId == current.ParentSpanId)
        {
            return;
        }

        foreach (var field in DistributedContextPropagator.Current.Fields)
        {
            request.Headers.Remove(field);
        }
    }
}
