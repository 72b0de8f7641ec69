using System.Net;
using System.Net.Http.Headers;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Calls;

/// <summary>Tells what a response says of the instance that gave it.</summary>
internal static class OutcomeRules
{
    private const string GrpcStatusHeader = "grpc-status";

    /// <summary>The outcome as far as the response's headers tell.</summary>
    public static CallOutcome Of(HttpResponseMessage response)
        => response.StatusCode is >= HttpStatusCode.InternalServerError and not HttpStatusCode.NotImplemented
            ? CallOutcome.Failure
            : OfGrpcStatus(response.Headers);

    /// <summary>The outcome by the gRPC status in headers or trailers; a success if there is none.</summary>
    public static CallOutcome OfGrpcStatus(HttpResponseHeaders headers)
    {
        if (!headers.NonValidated.TryGetValues(GrpcStatusHeader, out var values))
        {
            return CallOutcome.Success;
        }

        // UNKNOWN is what servers make of an unhandled exception. INVALID_ARGUMENT, NOT_FOUND and the like are the caller's.
        return values.ToString() switch
        {
            "2" or "8" or "13" or "14" or "15" => CallOutcome.Failure, // UNKNOWN, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS
            "1" or "4" => CallOutcome.Cancelled, // CANCELLED, DEADLINE_EXCEEDED
            _ => CallOutcome.Success,
        };
    }

    /// <summary>
    /// The outcome of a call that failed with an exception. What the connection did is the instance's doing; the rest is the caller's, such
    /// as a request body that is disposed, or a response that is larger than the caller takes.
    /// </summary>
    public static CallOutcome Of(Exception exception) => exception switch
    {
        HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded } => CallOutcome.Cancelled,
        HttpRequestException or IOException => CallOutcome.Failure,
        _ => CallOutcome.Cancelled,
    };
}
