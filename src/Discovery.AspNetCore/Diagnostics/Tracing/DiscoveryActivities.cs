using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Discovery.AspNetCore.Diagnostics.Tracing;

/// <summary>The activity source <c>Discovery.AspNetCore</c>. While nobody listens no activity is made.</summary>
internal static class DiscoveryActivities
{
    public const string SourceName = "Discovery.AspNetCore";

    /// <summary>One attempt of a call at one instance.</summary>
    public const string Attempt = "discovery.attempt";

    /// <summary>A call waits for the first instance of its service.</summary>
    public const string Wait = "discovery.wait";

    /// <summary>The application registers, for the first time.</summary>
    public const string Register = "discovery.register";

    /// <summary>The application publishes that it drains, and serves on.</summary>
    public const string Drain = "discovery.drain";

    /// <summary>The application leaves etcd.</summary>
    public const string Deregister = "discovery.deregister";

    /// <summary>A service is listed.</summary>
    public const string List = "discovery.list";

    /// <summary>A service's watch was interrupted, until it is open again.</summary>
    public const string Reopen = "discovery.watch.reopen";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Whether anybody listens.</summary>
    public static bool AreWanted
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Source.HasListeners();
    }

    /// <summary>Starts an activity within the current one.</summary>
    public static Activity? Start(string name, string? service, string? cluster) => Describe(Source.StartActivity(name), service, cluster);

    /// <summary>
    /// Starts an activity with a trace of its own: what goes on in the background belongs to no call, though some call may have been the one
    /// that began it.
    /// </summary>
    /// <param name="name">The name.</param>
    /// <param name="service">The service, if it is about one.</param>
    /// <param name="cluster">The cluster; null for the default one.</param>
    /// <param name="cause">What it follows from, to be linked.</param>
    /// <param name="startTime">When it began; default: now.</param>
    public static Activity? StartRoot(
        string name, string? service, string? cluster, ActivityContext cause = default, DateTimeOffset startTime = default)
    {
        if (!AreWanted)
        {
            return null;
        }

        Activity.Current = null;
        ActivityLink[]? links = cause == default ? null : [new ActivityLink(cause)];
        return Describe(Source.StartActivity(name, ActivityKind.Internal, parentContext: default, tags: null, links, startTime), service, cluster);
    }

    /// <summary>Marks an activity as failed.</summary>
    /// <param name="activity">The activity, if there is one.</param>
    /// <param name="errorType">What kind of failure, as metrics have it.</param>
    /// <param name="description">What happened.</param>
    public static void SetFailed(this Activity? activity, string errorType, string? description)
    {
        activity?.SetTag("error.type", errorType);
        activity?.SetStatus(ActivityStatusCode.Error, description);
    }

    private static Activity? Describe(Activity? activity, string? service, string? cluster)
    {
        if (service is not null)
        {
            activity?.SetTag("discovery.service", service);
        }

        if (!string.IsNullOrEmpty(cluster))
        {
            activity?.SetTag("discovery.cluster", cluster);
        }

        return activity;
    }
}
