using System.Net;
using System.Net.Http.Headers;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Calls;

/// <summary>Tells what a response, or its absence, says of the instance that was called.</summary>
internal static class OutcomeRules
{
    private const string GrpcStatusHeader = "grpc-status";

    /// <summary>Not even the first message of a stream that then breaks off takes so long.</summary>
    private static readonly TimeSpan LeastStream = TimeSpan.FromSeconds(1);

    /// <summary>The outcome as far as the response's headers tell.</summary>
    /// <param name="response">The response.</param>
    /// <param name="isGrpc">Whether it says that it is gRPC's.</param>
    public static CallOutcome Of(HttpResponseMessage response, bool isGrpc)
    {
        if (isGrpc && response.StatusCode == HttpStatusCode.OK)
        {
            return OfGrpcStatus(response.Headers);
        }

        return response.RequestMessage is { } request && NoInstance.IsGrpc(request) ? OfNoGrpcAnswer(response.StatusCode) : OfHttpStatus(response.StatusCode);
    }

    /// <summary>The outcome by the gRPC status in headers or trailers; a success if there is none.</summary>
    public static CallOutcome OfGrpcStatus(HttpResponseHeaders headers)
    {
        if (!headers.NonValidated.TryGetValues(GrpcStatusHeader, out var values))
        {
            return CallOutcome.Success;
        }

        return OfGrpcStatus(values.ToString());
    }

    /// <summary>The same by trailers that follow headers: whoever sent those knows the call, and is no stranger.</summary>
    public static CallOutcome OfTrailers(HttpResponseHeaders trailers)
        => OfGrpcStatus(trailers) is var outcome && outcome is CallOutcome.Denied or CallOutcome.CallersError ? CallOutcome.Refused : outcome;

    /// <summary>The outcome by the number of a gRPC status.</summary>
    public static CallOutcome OfGrpcStatus(string status)
        => status switch
        {
            "0" => CallOutcome.Success,
            "2" or "13" => CallOutcome.UnknownError, // UNKNOWN and INTERNAL, what servers make of an unhandled exception
            "4" => CallOutcome.TimedOut, // DEADLINE_EXCEEDED
            "8" => CallOutcome.Overloaded, // RESOURCE_EXHAUSTED, also for a message that is too large
            "7" or "16" => CallOutcome.Denied, // PERMISSION_DENIED, UNAUTHENTICATED
            "12" => CallOutcome.Unimplemented, // UNIMPLEMENTED
            "14" or "15" => CallOutcome.Failure, // UNAVAILABLE, DATA_LOSS
            _ => CallOutcome.CallersError, // INVALID_ARGUMENT, NOT_FOUND and the like; and CANCELLED, which a caller that gave up does not live to see.
        };

    /// <summary>
    /// The outcome of a call that failed with an exception. What the connection did is the instance's doing; the rest is the caller's, such
    /// as a request body that is disposed, or a response that is larger than the caller takes. To be asked once for a call.
    /// </summary>
    public static CallOutcome Of(Exception exception)
        => exception is HttpRequestException or IOException && !IsOfRequest(exception) && !IsNotSupported(exception)
            ? BrokenConnections.IsFirst(exception) ? CallOutcome.Failure : CallOutcome.SameFailure
            : CallOutcome.Cancelled;

    /// <summary>The same before response headers came, where a passed deadline is told from a caller that gave up.</summary>
    /// <param name="exception">How the call failed.</param>
    /// <param name="request">The request, which may tell its deadline.</param>
    /// <param name="instance">The instance.</param>
    /// <param name="call">The call.</param>
    /// <param name="token">What cancels it.</param>
    public static CallOutcome Of(Exception exception, HttpRequestMessage request, InstanceState instance, CallProgress call, CancellationToken token)
    {
        if (ProtocolRefusals.Learn(exception, request, instance) || RequestBodies.HasFailed(exception, request))
        {
            return CallOutcome.Cancelled;
        }

        var outcome = Of(exception);
        return outcome == CallOutcome.Cancelled && exception is OperationCanceledException && CallDeadline.HasPassed(request, instance, call, token)
            ? CallOutcome.TimedOut
            : outcome;
    }

    /// <summary>
    /// The outcome of an answer, such as 404, that says something of the instance only if others answer otherwise. Calls that always go to one
    /// instance may well ask for what does not exist, and no other instance is asked: of those with one hash key, one counts; unless nothing says
    /// that the instance is still there.
    /// </summary>
    public static CallOutcome Compare(CallOutcome outcome, HttpRequestMessage request, InstanceState instance, CallSteering? steering)
    {
        if (instance.IsHeld && outcome is (CallOutcome.NotFound or CallOutcome.Unimplemented))
        {
            return outcome;
        }

        // Of a method that is not served the requests are compared, whatever their keys.
        if (steering is { Instance: not null }
            || (outcome != CallOutcome.Unimplemented && steering?.HashKey is { } key && !instance.Health.IsNewlyRefused(key)))
        {
            return OfPinned(outcome);
        }

        if (outcome != CallOutcome.CallersError)
        {
            instance.Context.Refused.OnRefused(request, instance);
        }

        if (instance.IsHeld)
        {
            _ = request.Headers.NonValidated.TryGetValues("Authorization", out var caller);
            instance.Health.OnStrangeAnswerTo(StableHash.Mix(RefusedRequests.IdOf(request)) ^ StableHash.Of(caller.ToString()));
        }

        return outcome;
    }

    /// <summary>
    /// The outcome of an answer to a call that can go to one instance alone: nobody else is asked for the same, and one caller may well ask again and
    /// again for what does not exist or is not his.
    /// </summary>
    public static CallOutcome OfPinned(CallOutcome outcome) => outcome switch
    {
        CallOutcome.Redirected => CallOutcome.Success,
        CallOutcome.NotFound or CallOutcome.Denied or CallOutcome.CallersError or CallOutcome.Unimplemented => CallOutcome.Refused,
        _ => outcome,
    };

    /// <summary>An instance answered with an exception of the application's, which says something of it only if others serve the same. What is for one instance is not compared.</summary>
    /// <param name="request">The request.</param>
    /// <param name="instance">The instance.</param>
    /// <param name="steering">What the request says to the balancer.</param>
    /// <param name="startedAt">When the call began.</param>
    public static void OnUnknownError(HttpRequestMessage request, InstanceState instance, CallSteering? steering, long startedAt)
    {
        if (steering is not { Instance: not null })
        {
            OnThrown(RefusedRequests.IdOf(request), instance, steering?.HashKey, startedAt);
        }
    }

    /// <summary>The same for a request that another client sends.</summary>
    /// <param name="request">What tells it from others.</param>
    /// <param name="instance">The instance.</param>
    /// <param name="hashKey">Its hash key; null for none.</param>
    /// <param name="startedAt">When the call began.</param>
    public static void OnThrown(ulong request, InstanceState instance, string? hashKey, long startedAt)
    {
        instance.Context.Thrown.OnRefused(request, instance, instance.Context.ReadClock() - startedAt);
        instance.Health.OnThrown(request, hashKey, startedAt);
    }

    /// <summary>A message came of a stream while of late some were broken off.</summary>
    public static void OnGoesOn(HttpRequestMessage? request, InstanceState instance, long startedAt)
    {
        var lasted = instance.Context.ReadClock() - startedAt;
        if (request is not null && lasted >= instance.Context.ToTicks(LeastStream))
        {
            instance.Context.Thrown.OnServed(request, instance, lasted);
        }
    }

    /// <summary>The same as <see cref="Compare"/> and <see cref="OnUnknownError"/> for a gRPC call that ended by its trailers.</summary>
    public static CallOutcome CompareEnd(CallOutcome outcome, HttpRequestMessage request, InstanceState instance, long startedAt)
    {
        switch (outcome)
        {
            case CallOutcome.Success:
                instance.Context.Thrown.OnServed(request, instance);
                return outcome;
            case CallOutcome.Unimplemented:
                return Compare(outcome, request, instance, CallSteering.ReadFrom(request));
            case CallOutcome.UnknownError:
                OnUnknownError(request, instance, CallSteering.ReadFrom(request), startedAt);
                return outcome;
            default:
                return outcome;
        }
    }

    /// <summary>
    /// Whether the request is why it could not be sent, or its answer not be taken: a header that is no ASCII, or larger than the server said that it
    /// takes, for which .NET has neither an error nor a cause; a body that the server refused while it was sent; headers or trailers that are larger
    /// than the caller takes. HTTP/2 has no error of its own for the last: its decoder fails, whose exception is not public, and the connection with it.
    /// </summary>
    private static bool IsOfRequest(Exception exception)
    {
        for (var e = exception; e is not null; e = e.InnerException)
        {
            if (e is HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded }
                or HttpRequestException { HttpRequestError: HttpRequestError.Unknown, InnerException: null, StatusCode: null }
                or EarlyRefusalException
                || e.GetType().Name == "HPackDecodingException")
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether the instance cannot do what the caller wants, such as a WebSocket over HTTP/2, and says so.</summary>
    private static bool IsNotSupported(Exception exception)
        => exception is HttpRequestException { HttpRequestError: HttpRequestError.ExtendedConnectNotSupported or HttpRequestError.UserAuthenticationError };

    /// <summary>The outcome that a status says, of HTTP that is not gRPC.</summary>
    public static CallOutcome OfHttpStatus(HttpStatusCode status) => status switch
    {
        HttpStatusCode.NotFound => CallOutcome.NotFound,
        HttpStatusCode.Moved or HttpStatusCode.Found or HttpStatusCode.SeeOther or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect
            => CallOutcome.Redirected,
        HttpStatusCode.MisdirectedRequest => CallOutcome.WrongServer,
        HttpStatusCode.TooManyRequests => CallOutcome.Overloaded,
        HttpStatusCode.NotImplemented => CallOutcome.Unimplemented,
        HttpStatusCode.InternalServerError => CallOutcome.UnknownError,
        > HttpStatusCode.InternalServerError => CallOutcome.Failure,
        >= HttpStatusCode.BadRequest => CallOutcome.Denied,
        _ => CallOutcome.Success,
    };

    /// <summary>
    /// The outcome of a gRPC call whose answer is not gRPC's. A gRPC server answers 200 and application/grpc whatever happens, so this comes
    /// from a stranger or a proxy, but for a server's authentication, which is in front of gRPC and speaks of the caller.
    /// </summary>
    public static CallOutcome OfNoGrpcAnswer(HttpStatusCode status) => status switch
    {
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => CallOutcome.Denied,
        HttpStatusCode.TooManyRequests => CallOutcome.Overloaded,
        HttpStatusCode.NotImplemented => CallOutcome.WrongServer,
        HttpStatusCode.InternalServerError => CallOutcome.UnknownError,
        > HttpStatusCode.InternalServerError => CallOutcome.Failure,
        _ => CallOutcome.WrongServer,
    };
}
