using System.Collections.Concurrent;
using System.Diagnostics;

namespace Discovery.FieldTests.Support;

/// <summary>Records the activities of some sources that belong to one trace, or to none that a test began, as an exporter does.</summary>
internal sealed class ActivityRecorder : IDisposable
{
    public const string Test = "Discovery.FieldTests";

    private static readonly ActivitySource Source = new(Test);

    private readonly ConcurrentQueue<Activity> _ended = new();
    private readonly ActivityListener _listener;

    /// <param name="sources">The names of the sources.</param>
    public ActivityRecorder(params string[] sources)
    {
        _listener = new ActivityListener
        {
            ShouldListenTo = s => s.Name == Test || sources.Contains(s.Name),
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = _ended.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
    }

    /// <summary>What has ended.</summary>
    public IReadOnlyCollection<Activity> Ended => _ended;

    /// <summary>Begins a trace.</summary>
    public static Activity Start(string name = "test", ActivityKind kind = ActivityKind.Internal)
    {
        Activity.Current = null;
        return Source.StartActivity(name, kind)!;
    }

    /// <summary>What has ended within a trace, in the order of the beginnings.</summary>
    public IReadOnlyList<Activity> Of(Activity trace, string name)
        => [.. _ended.Where(a => a.TraceId == trace.TraceId && a.OperationName == name).OrderBy(static a => a.StartTimeUtc)];

    public void Dispose() => _listener.Dispose();
}
