using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.LoadReports;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Discovery.AspNetCore.Hosting.LoadReporting;

/// <summary>Sends a report of the server's load with each answer: in the trailers of gRPC, where callers look for it, and in the headers of others.</summary>
internal sealed class LoadReportMiddleware(RequestDelegate next, ServerLoad load)
{
    public async Task InvokeAsync(HttpContext context)
    {
        var isGrpc = context.Request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) == true;
        if (!isGrpc)
        {
            context.Response.OnStarting(AddHeaderAsync, context);
        }

        var startedAt = load.OnStarted();
        var isFailure = true;
        try
        {
            await next(context).ConfigureAwait(false);
            isFailure = IsFailure(context);
            if (isGrpc)
            {
                AddTo(context);
            }
        }
        finally
        {
            load.OnEnded(startedAt, isFailure);
        }
    }

    private static bool IsFailure(HttpContext context)
        => context.Response.StatusCode >= StatusCodes.Status500InternalServerError
            || (FieldsOf(context)?.TryGetValue("grpc-status", out var status) == true
                && OutcomeRules.OfGrpcStatus(status.ToString()) is CallOutcome.Failure or CallOutcome.UnknownError);

    /// <summary>Where gRPC has what it says at the end: an answer without a message is nothing but headers.</summary>
    private static IHeaderDictionary? FieldsOf(HttpContext context)
        => context.Response.HasStarted ? context.Features.Get<IHttpResponseTrailersFeature>()?.Trailers : context.Response.Headers;

    private Task AddHeaderAsync(object context)
    {
        ((HttpContext)context).Response.Headers[LoadReport.HeaderName] = load.Report();
        return Task.CompletedTask;
    }

    // The trailers may be sent already, when a deadline ended the call.
    private void AddTo(HttpContext context)
    {
        if (FieldsOf(context) is { IsReadOnly: false } fields)
        {
            fields[LoadReport.HeaderName] = load.Report();
        }
    }
}
