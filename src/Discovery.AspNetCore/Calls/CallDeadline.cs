using System.Globalization;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// Tells a passed deadline from a caller that gave up; to a handler both are a cancelled token. A gRPC call names its deadline, and an
/// <see cref="HttpClient.Timeout"/> is told by <see cref="CancellationOrigin"/>. What a handler above cancelled, such as the timeout of an
/// attempt, counts too; but if another attempt was answered, as with a hedge, only where the request waited ten times as long as is usual.
/// </summary>
internal static class CallDeadline
{
    private const string TimeoutHeader = "grpc-timeout";

    /// <summary>Less is no wait at all, however quick the service. What is less than usual in a service says nothing either, which its health knows.</summary>
    private static readonly TimeSpan LeastWait = TimeSpan.FromMilliseconds(2);

    /// <summary>How many times the usual latency an attempt has waited that was not given up just for the answer of another.</summary>
    private const double LongWait = 10;

    /// <summary>
    /// And how long at least: where the service is quick, a pause of this process is many times the usual latency, and one that always loses against
    /// the others has no answers of its own that would say that it works.
    /// </summary>
    private static readonly TimeSpan LeastLongWait = TimeSpan.FromMilliseconds(50);

    /// <summary>Timers fire a little early or late, and the call began a little after its deadline was set: so much of the deadline's time may lack.</summary>
    private const double Tolerance = 0.1;

    /// <summary>And at most so much.</summary>
    private static readonly TimeSpan MostTolerance = TimeSpan.FromMilliseconds(50);

    /// <summary>Whether a call that was cancelled before any answer ran out of time.</summary>
    public static bool HasPassed(HttpRequestMessage request, InstanceState instance, CallProgress call, CancellationToken token)
    {
        // If not, the request's body was cancelled at its source, by a time limit of its own for example.
        var waited = instance.WaitOf(call);
        if (!token.IsCancellationRequested || waited < LeastWait)
        {
            return false;
        }

        // First what is known of the call as a whole: a short deadline is nearly over when the caller has had enough, or when another attempt is answered.
        var attempts = TriedInstances.Of(request);
        if (attempts is { IsOfGrpc: true, IsGivenUp: true })
        {
            return false;
        }

        if (attempts is { IsAnswered: true, IsGivenUp: false })
        {
            return waited >= LeastLongWait && waited >= instance.Context.ToTime(LongWait * instance.Context.UsualLatency);
        }

        return IsGrpcDeadline(request, waited)

            // gRPC itself cancels an attempt only for the answer of another, or because the caller disposed the call.
            || attempts is { Request: not null, Caller.IsCancellationRequested: false }
            || (!NoInstance.IsGrpc(request) && CancellationOrigin.IsOwnTimer(attempts?.Caller ?? token) == true);
    }

    /// <summary>The same after response headers. No handler above is left that may have had enough.</summary>
    public static bool HasPassedInBody(HttpRequestMessage request, InstanceState instance, CallProgress call, CancellationToken token)
    {
        var waited = instance.WaitOf(call);
        return waited >= LeastWait
            && TriedInstances.Of(request) is not { IsOfGrpc: true, IsGivenUp: true }
            && (NoInstance.IsGrpc(request) ? IsGrpcDeadline(request, waited) : token.IsCancellationRequested && CancellationOrigin.IsOwnTimer(token) == true);
    }

    /// <summary>The time that a gRPC call had left when it was sent, or null without a deadline.</summary>
    public static TimeSpan? TimeLeftOf(HttpRequestMessage request)
        => request.Headers.NonValidated.TryGetValues(TimeoutHeader, out var values) && TryParse(values.ToString(), out var limit) ? limit : null;

    private static bool IsGrpcDeadline(HttpRequestMessage request, TimeSpan waited)
        => NoInstance.IsGrpc(request)
            && TimeLeftOf(request) is { } limit
            && waited >= limit - (limit * Tolerance < MostTolerance ? limit * Tolerance : MostTolerance);

    /// <summary>Reads a timeout as gRPC writes it: at most eight digits and a unit.</summary>
    internal static bool TryParse(string text, out TimeSpan limit)
    {
        limit = default;
        if (text.Length is < 2 or > 9 || !long.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            return false;
        }

        var seconds = text[^1] switch { 'H' => 3600, 'M' => 60, 'S' => 1, 'm' => 1e-3, 'u' => 1e-6, 'n' => 1e-9, _ => 0 };
        limit = TimeSpan.FromSeconds(number * seconds);
        return seconds > 0;
    }
}
