using System.Diagnostics;
using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Calls;

/// <summary>Leaves word of which instance a call went to: with the request, with the trace, and for a retry by gRPC.</summary>
internal static class CallTrace
{
    public static void OnAnswered(HttpRequestMessage request, InstanceState instance)
    {
        MessageParts.OptionsOf(request)?.Set(EtcdRequestOptions.ServedBy, instance.Record);
        if (Activity.Current is { } activity)
        {
            Tag(activity, instance);
        }
    }

    public static void OnFailed(ServicePool pool, HttpRequestMessage request, InstanceState instance)
    {
        request.Options.Set(EtcdRequestOptions.ServedBy, instance.Record);
        if (NoInstance.IsGrpc(request))
        {
            pool.Failures.Add(request.RequestUri!, CallSteering.PreviousAttemptsOf(request), CallDeadline.TimeLeftOf(request), instance);
        }

        if (Activity.Current is { } activity)
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
