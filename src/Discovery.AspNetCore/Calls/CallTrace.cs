using System.Diagnostics;

namespace Discovery.AspNetCore.Calls;

/// <summary>Leaves word of which instance a call went to: with the request, with the trace, and for a retry by gRPC.</summary>
internal static class CallTrace
{
    /// <param name="request">The request.</param>
    /// <param name="instance">Where it went.</param>
    /// <param name="attempt">The activity of the attempt, if there is one; the caller's own is told too.</param>
    public static void OnAnswered(HttpRequestMessage request, InstanceState instance, Activity? attempt)
    {
        MessageParts.OptionsOf(request)?.Set(EtcdRequestOptions.ServedBy, instance.Record);
        if (CallerOf(attempt) is { } activity)
        {
            Tag(activity, instance);
        }
    }

    /// <inheritdoc cref="OnAnswered" />
    public static void OnFailed(HttpRequestMessage request, InstanceState instance, Activity? attempt)
    {
        request.Options.Set(EtcdRequestOptions.ServedBy, instance.Record);
        if (NoInstance.IsGrpc(request) && TriedInstances.Of(request) is not { IsOfGrpc: true })
        {
            instance.Pool!.Failures.Add(
                request.RequestUri!, CallSteering.PreviousAttemptsOf(request), CallDeadline.TimeLeftOf(request), instance);
        }

        if (CallerOf(attempt) is { } activity)
        {
            Tag(activity, instance);
        }
    }

    /// <summary>Answers the caller that asked for it by metadata.</summary>
    public static void Answer(HttpResponseMessage response, InstanceState instance)
    {
        response.Headers.Remove(EtcdCallMetadata.ServedBy);
        response.Headers.TryAddWithoutValidation(EtcdCallMetadata.ServedBy, instance.Record.InstanceId ?? instance.Record.Address);
    }

    private static Activity? CallerOf(Activity? attempt) => attempt is null ? Activity.Current : attempt.Parent;

    private static void Tag(Activity activity, InstanceState instance)
    {
        // The address of a server's activity is the server's own.
        if (activity.Kind == ActivityKind.Client)
        {
            activity.SetTag("server.address", instance.Record.Host);
            activity.SetTag("server.port", instance.Record.Port);
        }

        activity.SetTag("discovery.instance", instance.Record.InstanceId ?? instance.Record.Address);
    }
}
