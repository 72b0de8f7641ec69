using System.Diagnostics;
using System.Globalization;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Diagnostics.Tracing;

/// <summary>
/// The activity of one attempt: which instance was chosen, by which policy, as the how manieth, and how that went. It is the parent of
/// System.Net.Http's own, and ends like that with the response's headers.
/// </summary>
internal static class AttemptActivity
{
    /// <param name="pool">The pool of the call.</param>
    /// <param name="instance">The chosen instance.</param>
    /// <param name="attempt">Counts the call's attempts, from 1.</param>
    public static Activity? Start(ServicePool pool, InstanceState instance, int attempt)
    {
        var activity = DiscoveryActivities.Start(DiscoveryActivities.Attempt, pool.ServiceName, pool.Options.Cluster);
        if (activity is not { IsAllDataRequested: true })
        {
            return activity;
        }

        var record = instance.Record;
        activity.SetTag("server.address", record.Host);
        activity.SetTag("server.port", record.Port);
        activity.SetTag("discovery.instance", record.InstanceId ?? record.Address);
        activity.SetTag("discovery.policy", pool.PolicyName);
        activity.SetTag("discovery.attempt", attempt);
        if (record.Zone is { } zone)
        {
            activity.SetTag("discovery.zone", zone);
        }

        if (record.Version is { } version)
        {
            activity.SetTag("discovery.version", version);
        }

        if (instance.IsHeld)
        {
            activity.SetTag("discovery.held", true);
        }

        return activity;
    }

    /// <summary>Response headers came.</summary>
    /// <param name="activity">The activity.</param>
    /// <param name="response">The response.</param>
    /// <param name="isGrpc">Whether it says that it is gRPC's.</param>
    /// <param name="outcome">What it says of the instance.</param>
    public static void OnAnswered(Activity? activity, HttpResponseMessage response, bool isGrpc, CallOutcome outcome)
    {
        if (activity is null)
        {
            return;
        }

        var status = (int)response.StatusCode;
        activity.SetTag("http.response.status_code", status);
        if (outcome.IsAnswer() || outcome == CallOutcome.Cancelled)
        {
            return;
        }

        // As OpenTelemetry has it, the status is the type of the error; else what the answer is taken for.
        if (isGrpc && GrpcStatusName.Of(response.Headers) is { } grpc)
        {
            activity.SetFailed(grpc, GrpcStatusName.MessageOf(response.Headers) ?? grpc);
        }
        else if (status >= 400)
        {
            activity.SetFailed(status.ToString(CultureInfo.InvariantCulture), $"{status} {response.ReasonPhrase}".TrimEnd());
        }
        else
        {
            activity.SetFailed(outcome.ToTag(), $"{status} {response.ReasonPhrase}".TrimEnd() + ", which is no answer of gRPC");
        }
    }

    /// <summary>There was no answer.</summary>
    /// <param name="activity">The activity.</param>
    /// <param name="instance">The instance.</param>
    /// <param name="exception">What came instead.</param>
    /// <param name="connect">The failure to connect, if that was it.</param>
    public static void OnFailed(Activity? activity, InstanceState instance, Exception exception, InstanceConnectException? connect)
    {
        if (activity is null)
        {
            return;
        }

        if (connect is not null)
        {
            activity.SetFailed(ConnectErrors.TypeOf(connect), connect.Message);
        }
        else
        {
            activity.SetFailed(exception.GetType().FullName!, exception.Message);
        }

        AddEjection(activity, instance);
    }

    /// <summary>The instance may have been ejected because of this very attempt.</summary>
    public static void AddEjection(Activity? activity, InstanceState instance)
    {
        if (activity is not null && instance.IsEjected)
        {
            activity.AddEvent(new ActivityEvent("discovery.ejected", tags: new ActivityTagsCollection
            {
                { "discovery.ejection.reason", instance.Health.Reason }, { "discovery.ejection.duration", instance.EjectionLeft.TotalSeconds },
            }));
        }
    }
}
