namespace Discovery.AspNetCore.Diagnostics.Tracing;

/// <summary>
/// Runs what lives as long as the application apart from whoever began it: the first call of a service begins its watch, but its trace, its
/// log scopes and its <c>HttpContext</c> must not stay with it.
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
}
