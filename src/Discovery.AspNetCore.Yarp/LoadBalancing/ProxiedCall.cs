using System.Net;
using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.LoadReports;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.Timeouts;
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
    private readonly bool _isPinned;
    private readonly IForwarderErrorFeature? _earlierError;
    private readonly CancellationToken _timeout;
    private CallProgress _progress;
    private bool _isForwarded;
    private bool _isAnswered;
    private bool _isOver;

    private ProxiedCall(HttpContext context, DestinationState destination, InstanceState instance, bool isPinned)
    {
        _context = context;
        _destination = destination;
        _instance = instance;
        _isPinned = isPinned;
        _earlierError = context.Features.Get<IForwarderErrorFeature>();

        // The feature is gone when the response is complete.
        _timeout = context.Features.Get<IHttpRequestTimeoutFeature>()?.RequestTimeoutToken ?? CancellationToken.None;
        _progress = instance.OnCallStarted();
    }

    /// <summary>How the proxy failed with it. The error of an attempt before stays with the request.</summary>
    private IForwarderErrorFeature? Error
        => _context.Features.Get<IForwarderErrorFeature>() is { } error && error != _earlierError ? error : null;

    /// <summary>Starts a request to a destination.</summary>
    /// <param name="context">The request.</param>
    /// <param name="destination">The destination.</param>
    /// <param name="instance">Its live state.</param>
    /// <param name="isPinned">Whether it could go to no other: session affinity chose the destination, or there is one alone.</param>
    public static ProxiedCall Start(HttpContext context, DestinationState destination, InstanceState instance, bool isPinned)
    {
        var call = new ProxiedCall(context, destination, instance, isPinned);
        context.Response.OnStarting(static c => ((ProxiedCall)c).OnStartingAsync(), call);
        context.Response.OnCompleted(static c => ((ProxiedCall)c).OnCompletedAsync(), call);
        return call;
    }

    /// <summary>Whether it goes to a destination and has not ended.</summary>
    public bool IsUnderWayTo(DestinationState destination) => !_isOver && ReferenceEquals(_destination, destination);

    /// <summary>The proxy is about to send it.</summary>
    public void OnForwarding() => _isForwarded = true;

    /// <summary>The destination has answered.</summary>
    public void OnAnswered() => _isAnswered = true;

    /// <summary>The destination is done with.</summary>
    public void End()
    {
        if (!_isOver)
        {
            _isOver = true;
            var outcome = Outcome();
            if (outcome == CallOutcome.Failure && Error?.Exception is { } exception)
            {
                // Of a request and its answer that both break there are two.
                outcome = OutcomeRules.Of(exception is AggregateException { InnerException: { } first } ? first : exception);
            }

            if (outcome == CallOutcome.Success && LoadReportOf() is { } report)
            {
                ReceivedReports.Learn(report, _instance);
            }

            Compare(outcome);
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

    /// <summary>An exception in the application's code says something of the instance only beside what others do. What could go to one instance alone is not compared.</summary>
    private void Compare(CallOutcome outcome)
    {
        var thrown = _instance.Context.Thrown;
        if (outcome == CallOutcome.UnknownError && !_isPinned)
        {
            OutcomeRules.OnThrown(RequestId(), _instance, hashKey: null, _progress.StartedAt);
        }
        else if (outcome == CallOutcome.Success && thrown.IsRemembering(_instance) && (!IsGrpc(_context.Response.ContentType) || GrpcStatus() is not null))
        {
            thrown.OnServed(RequestId(), _instance);
        }
    }

    private ulong RequestId() => RefusedRequests.IdOf(_context.Request.Method, _context.Request.GetEncodedPathAndQuery());

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

    private CallOutcome OfAnswer()
    {
        var status = (HttpStatusCode)_context.Response.StatusCode;
        var isGrpcAnswer = status == HttpStatusCode.OK && IsGrpc(_context.Response.ContentType);
        var outcome = isGrpcAnswer ? GrpcStatus() is { } grpcStatus ? OutcomeRules.OfGrpcStatus(grpcStatus) : CallOutcome.Success
            : IsGrpc(_context.Request.ContentType) ? OutcomeRules.OfNoGrpcAnswer(status)
            : OutcomeRules.OfHttpStatus(status);
        return _isPinned ? OutcomeRules.OfPinned(outcome) : outcome;
    }

    private CallOutcome Outcome() => Error?.Error switch
    {
        // A middleware after the choice answered by itself, such as a limit of rates or an authorization: the instance knows nothing of it.
        _ when !_isForwarded => CallOutcome.Cancelled,

        // So did a transform of the application, which runs after ours.
        null or ForwarderError.None when !_isAnswered => CallOutcome.Cancelled,
        null or ForwarderError.None => OfAnswer(),
        ForwarderError.Request or ForwarderError.RequestTimedOut when ForwarderFailures.OfConnect(Error!.Exception) is { } outcome => outcome,
        ForwarderError.RequestTimedOut or ForwarderError.UpgradeActivityTimeout => CallOutcome.TimedOut,

        // The timeout of the route cancels as a caller does who gives up. That a body was not sent in time may be the caller's doing.
        ForwarderError.RequestCanceled when _timeout.IsCancellationRequested => CallOutcome.TimedOut,

        // Most likely the request is too large. One that does it to all bodies while others do not is found as one that answers 413.
        ForwarderError.RequestBodyDestination when ForwarderFailures.IsClosedOnBody(Error!.Exception) => _isPinned ? CallOutcome.Cancelled : CallOutcome.Denied,
        ForwarderError.Request or ForwarderError.ResponseHeaders or ForwarderError.RequestBodyDestination
            or ForwarderError.ResponseBodyDestination or ForwarderError.UpgradeRequestDestination or ForwarderError.UpgradeResponseDestination
            => CallOutcome.Failure,
        _ => CallOutcome.Cancelled,
    };
}
