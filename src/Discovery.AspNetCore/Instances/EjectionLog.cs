using System.Globalization;
using Discovery.AspNetCore.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Instances;

/// <summary>
/// Writes and counts ejections where the decision falls: a failing instance is not ejected if too few would be left. One line for each time
/// that anything changes, however many instances fail.
/// </summary>
internal sealed partial class EjectionLog(TimeProvider time, ILogger logger)
{
    private const int MaxNamed = 5;

    private readonly LogLimit _lines = new(time);

    /// <summary>How many ejections were enforced.</summary>
    public long Enforced { get; private set; }

    /// <summary>How many were wanted and not enforced, because of the cap or the panic threshold.</summary>
    public long NotEnforced { get; private set; }

    /// <summary>Reports what was not reported before. Callers take turns.</summary>
    /// <param name="ejected">The instances that are left out.</param>
    /// <param name="spared">Those that fail and get calls nevertheless.</param>
    /// <param name="limit">Why they do.</param>
    /// <param name="context">What the instances share.</param>
    public void Report(IReadOnlyList<InstanceState> ejected, IReadOnlyList<InstanceState> spared, string limit, InstanceContext context)
    {
        if (TakeNew(ejected) is { Count: > 0 } newlyEjected)
        {
            Enforced += newlyEjected.Count;
            if (_lines.Allows(logger, newlyEjected[0].Record.ServiceName))
            {
                Log.Ejected(logger, newlyEjected[0].Record.ServiceName, newlyEjected.Count, Describe(newlyEjected, context));
            }
        }

        if (TakeNew(spared) is { Count: > 0 } newlySpared)
        {
            NotEnforced += newlySpared.Count;
            if (_lines.Allows(logger, newlySpared[0].Record.ServiceName))
            {
                Log.Spared(logger, newlySpared[0].Record.ServiceName, newlySpared.Count, limit, Describe(newlySpared, context));
            }
        }
    }

    private static List<InstanceState> TakeNew(IReadOnlyList<InstanceState> instances)
    {
        List<InstanceState> news = [];
        foreach (var instance in instances)
        {
            var until = instance.Health.EjectedUntil;
            if (instance.Health.ReportedUntil != until)
            {
                instance.Health.ReportedUntil = until;
                news.Add(instance);
            }
        }

        return news;
    }

    private static string Describe(List<InstanceState> instances, InstanceContext context)
    {
        var now = context.ReadClock();
        var named = instances.Take(MaxNamed).Select(i => string.Create(
            CultureInfo.InvariantCulture,
            $"{i.Record.Address} for {context.ToTime(i.Health.EjectedUntil - now).TotalSeconds:0.#} s ({i.Health.Reason})"));
        return string.Join("; ", named) + (instances.Count > MaxNamed ? "; …" : "");
    }

    private static partial class Log
    {
        [LoggerMessage(2201, LogLevel.Warning, "Service '{Service}': {Count} failing instances are ejected: {Instances}.")]
        public static partial void Ejected(ILogger logger, string service, int count, string instances);

        [LoggerMessage(2203, LogLevel.Warning, "Service '{Service}': {Count} failing instances are called nevertheless, as {Limit}: {Instances}.")]
        public static partial void Spared(ILogger logger, string service, int count, string limit, string instances);
    }
}
