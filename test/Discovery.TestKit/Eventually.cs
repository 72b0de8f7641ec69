using System.Runtime.CompilerServices;

namespace Discovery.TestKit;

/// <summary>Waits for a condition with a time limit, so that no test sleeps for a guessed time.</summary>
public static class Eventually
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);

    /// <summary>Waits until the condition holds.</summary>
    /// <exception cref="TimeoutException">It did not hold within the limit; names the condition.</exception>
    public static Task IsTrue(Func<bool> condition, TimeSpan? limit = null, [CallerArgumentExpression(nameof(condition))] string? what = null)
        => IsTrue(() => Task.FromResult(condition()), limit, what);

    /// <summary>Waits until the condition holds.</summary>
    /// <exception cref="TimeoutException">It did not hold within the limit; names the condition.</exception>
    public static async Task IsTrue(
        Func<Task<bool>> condition, TimeSpan? limit = null, [CallerArgumentExpression(nameof(condition))] string? what = null)
    {
        var deadline = TimeProvider.System.GetTimestamp() + (long)((limit ?? Limit).TotalSeconds * TimeProvider.System.TimestampFrequency);
        while (!await condition())
        {
            if (TimeProvider.System.GetTimestamp() > deadline)
            {
                throw new TimeoutException($"Not true within {limit ?? Limit}: {what}");
            }

            await Task.Delay(Step);
        }
    }
}
