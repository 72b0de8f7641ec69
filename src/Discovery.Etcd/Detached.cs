namespace Discovery.Etcd;

/// <summary>
/// Runs what lives as long as the client or the application apart from whoever began it: the first call of a service begins its watch, but its
/// trace, its log scopes and its <c>HttpContext</c> must not stay with it.
/// </summary>
internal static class Detached
{
    public static Task Run(Func<Task> work)
    {
        if (ExecutionContext.IsFlowSuppressed())
        {
            return Task.Run(work);
        }

        using (ExecutionContext.SuppressFlow())
        {
            return Task.Run(work);
        }
    }

    /// <summary>Creates a timer that is not set.</summary>
    public static ITimer CreateTimer(TimeProvider time, Action callback) => CreateTimer(time, callback, Timeout.InfiniteTimeSpan);

    /// <summary>Creates a timer that is due after each interval.</summary>
    public static ITimer CreateTimer(TimeProvider time, Action callback, TimeSpan interval)
    {
        if (ExecutionContext.IsFlowSuppressed())
        {
            return Create();
        }

        using (ExecutionContext.SuppressFlow())
        {
            return Create();
        }

        ITimer Create() => time.CreateTimer(static c => ((Action)c!)(), callback, interval, interval);
    }
}
