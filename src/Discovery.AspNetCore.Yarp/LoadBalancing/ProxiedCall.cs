using System.Net;
using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.LoadReports;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Model;

namespace Discovery.AspNetCore.Yarp.LoadBalancing;

/// <summary>One request to a destination, from its choice to the end of the response. Says to the instance how it went.</summary>
internal sealed class ProxiedCall
{
    private const string GrpcStatusHeader = "grpc-status";

    private readonly HttpContext _context;
    private readonly DestinationState _destination;
    private readonly InstanceState _instance;
    private CallProgress _progress;
    private bool _isOver;

    private ProxiedCall(HttpContext context, DestinationState destination, InstanceState instance)
    {
        _context = context;
        _destination = destination;
        _instance = instance;
        _progress = instance.OnCallStarted();
    }

    public static ProxiedCall Start(HttpContext context, DestinationState destination, InstanceState instance)
    {
        var call = new ProxiedCall(context, destination, instance);
        context.Response.OnStarting(static c => ((ProxiedCall)c).OnStartingAsync(), call);
        context.Response.OnCompleted(static c => ((ProxiedCall)c).OnCompletedAsync(), call);
        return call;
    }

    /// <summary>The destination is done with.</summary>
    public void End()
    {
        if (!_isOver)
        {
            _isOver = true;
            var outcome = Outcome();
            if (outcome == CallOutcome.Failure && _context.Features.Get<IForwarderErrorFeature>()?.Exception is { } exception)
            {
                // Of a request and its answer that both break there are two.
                outcome = OutcomeRules.Of(exception is AggregateException { InnerException: { } first } ? first : exception);
            }

            if (outcome == CallOutcome.Success && LoadReportOf() is { } report)
            {
                ReceivedReports.Learn(report, _instance);
            }

            _instance.OnCallEnded(_progress, outcome);
        }
    }

    private Task OnStartingAsync()
    {
        // The proxy copies the destination's status and headers before the first byte goes out; errors of its own are no headers of it.
        if (!_isOver && !_progress.HasHeaders && Outcome() == CallOutcome.Success)
        {
            _progress = _instance.OnHeaders(_progress);
        }

        return Task.CompletedTask;
    }

    private Task OnCompletedAsync()
    {
        End();
        return Task.CompletedTask;
    }

    private static bool IsGrpc(string? contentType) => contentType is not null && NoInstance.IsGrpc(contentType);

    /// <summary>The status of a gRPC call as far as it is known: in the headers of an answer without a message, or in the trailers.</summary>
    private string? GrpcStatus()
        => _context.Response.Headers.TryGetValue(GrpcStatusHeader, out var header) ? header.ToString()
            : _context.Features.Get<IHttpResponseTrailersFeature>()?.Trailers.TryGetValue(GrpcStatusHeader, out var trailer) == true ? trailer.ToString()
            : null;

    private string? LoadReportOf()
        => _context.Response.Headers.TryGetValue(LoadReport.HeaderName, out var header) ? header.ToString()
            : _context.Features.Get<IHttpResponseTrailersFeature>()?.Trailers.TryGetValue(LoadReport.HeaderName, out var trailer) == true ? trailer.ToString()
            : null;

    private CallOutcome OfAnswer(HttpStatusCode status)
    {
        var isGrpcAnswer = status == HttpStatusCode.OK && IsGrpc(_context.Response.ContentType);
        return isGrpcAnswer ? GrpcStatus() is { } grpcStatus ? OutcomeRules.OfGrpcStatus(grpcStatus) : CallOutcome.Success
            : IsGrpc(_context.Request.ContentType) ? OutcomeRules.OfNoGrpcAnswer(status)
            : OutcomeRules.OfHttpStatus(status);
    }

    /// <summary>The proxy says which destination it sends a request to just before it does.</summary>
    private bool IsForwarded => ReferenceEquals(_context.Features.Get<IReverseProxyFeature>()?.ProxiedDestination, _destination);

    private CallOutcome Outcome() => _context.Features.Get<IForwarderErrorFeature>()?.Error switch
    {
        // A middleware after the choice answered by itself, such as a limit of rates or an authorization: the instance knows nothing of it.
        _ when !IsForwarded => CallOutcome.Cancelled,
        null or ForwarderError.None => OfAnswer((HttpStatusCode)_context.Response.StatusCode),
        ForwarderError.RequestTimedOut or ForwarderError.UpgradeActivityTimeout => CallOutcome.TimedOut,
        ForwarderError.Request or ForwarderError.ResponseHeaders or ForwarderError.RequestBodyDestination
            or ForwarderError.ResponseBodyDestination or ForwarderError.UpgradeRequestDestination or ForwarderError.UpgradeResponseDestination
            => CallOutcome.Failure,
        _ => CallOutcome.Cancelled,
    };
}
