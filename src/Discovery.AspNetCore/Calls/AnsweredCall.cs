using System.Diagnostics;
using System.Net;
using Discovery.AspNetCore.Diagnostics.Tracing;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Calls;

/// <summary>What the headers of an answer say of the instance, and who follows the answer to its end.</summary>
internal static class AnsweredCall
{
    /// <summary>Learns from an answer, and has its body followed to its end.</summary>
    /// <param name="request">The request.</param>
    /// <param name="response">The answer.</param>
    /// <param name="instance">Who gave it.</param>
    /// <param name="steering">What the call asked for; null if it is not steered.</param>
    /// <param name="call">What the call has come to; ended here where there is no body.</param>
    /// <param name="activity">The attempt's activity, if somebody listens.</param>
    /// <returns>The answer, whose content may be another.</returns>
    public static HttpResponseMessage Track(
        HttpRequestMessage request, HttpResponseMessage response, InstanceState instance, CallSteering? steering, CallProgress call, Activity? activity)
    {
        var isProtocolRefused = ProtocolRefusals.Learn(response, instance);
        if (steering?.AsksServedBy == true)
        {
            CallTrace.Answer(response, instance);
        }

        var (isGrpc, length) = BodyHeaders.Of(response.Content);
        var outcome = isProtocolRefused ? CallOutcome.Refused : OutcomeRules.Of(response, isGrpc);
        if (steering?.Tried is { Request: not null } tried && IsServed(outcome, response.StatusCode, isGrpc))
        {
            tried.OnServed(instance);
        }

        if (outcome == CallOutcome.Success && !isGrpc)
        {
            instance.Context.Refused.OnServed(request, instance);
            instance.Context.Thrown.OnServed(request, instance);
            ReceivedReports.Learn(response.Headers, instance);
        }
        else if (outcome is CallOutcome.NotFound or CallOutcome.Denied or CallOutcome.Redirected or CallOutcome.CallersError or CallOutcome.Unimplemented)
        {
            if (outcome == CallOutcome.Redirected)
            {
                instance.Context.Redirects.OnAnswer(request, response, instance);
            }

            outcome = OutcomeRules.Compare(outcome, request, instance, steering);
        }
        else if (outcome == CallOutcome.WrongServer)
        {
            // What a gRPC call gets where others get a redirect.
            instance.Context.Redirects.OnAnswer(request, response, instance);
        }
        else if (outcome == CallOutcome.UnknownError)
        {
            OutcomeRules.OnUnknownError(request, instance, steering, call.StartedAt);
        }

        AttemptActivity.OnAnswered(activity, response, isGrpc, outcome);
        if (outcome.IsAnswer())
        {
            steering?.Tried?.OnAnswered(isSuccess: outcome == CallOutcome.Success);
            CallTrace.OnAnswered(request, instance, activity);
        }
        else
        {
            CallTrace.OnFailed(request, instance, activity);
        }

        if (!isGrpc && HasNoBody(response, length))
        {
            instance.OnCallEnded(call, outcome);
            AttemptActivity.AddEjection(activity, instance);
        }
        else
        {
            if (outcome == CallOutcome.Success)
            {
                call = instance.OnHeaders(call);
            }

            response.Content = isGrpc
                ? new TrackedContent(response, isGrpc, hasLength: false, instance, call, outcome)
                : new AnswerContent(response, hasLength: length is not null, instance, call, outcome);
        }

        return response;
    }

    private static bool HasNoBody(HttpResponseMessage response, string? length)
        => response.StatusCode is HttpStatusCode.NoContent or HttpStatusCode.NotModified || response.RequestMessage?.Method == HttpMethod.Head || length == "0";

    /// <summary>Whether the instance did what it can: what lacks is the caller's, such as a token, and not to be had from another instance.</summary>
    private static bool IsServed(CallOutcome outcome, HttpStatusCode status, bool isGrpc)
        => outcome is CallOutcome.Success or CallOutcome.Redirected
            || (outcome == CallOutcome.Denied && (isGrpc || status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden));
}
