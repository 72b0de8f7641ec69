using System.Globalization;

namespace Grpc.Protocol;

/// <summary>The value of <c>grpc-timeout</c>: up to eight digits and a unit.</summary>
internal static class GrpcTimeout
{
    private const long MaxDigits = 99_999_999;

    /// <summary>The longest timeout that is used: the protocol can say more, the implementations of it stop here.</summary>
    public static readonly TimeSpan Max = TimeSpan.FromSeconds(MaxDigits);

    public static string Format(TimeSpan timeout)
    {
        if (timeout <= TimeSpan.Zero)
        {
            return "1n";
        }

        // Rounded up, because a server that gives up before its client would turn a slow answer into a wrong error.
        var milliseconds = (timeout.Ticks + TimeSpan.TicksPerMillisecond - 1) / TimeSpan.TicksPerMillisecond;
        return milliseconds <= MaxDigits
            ? string.Create(CultureInfo.InvariantCulture, $"{milliseconds}m")
            : string.Create(CultureInfo.InvariantCulture, $"{Math.Min((milliseconds + 999) / 1000, MaxDigits)}S");
    }

    public static bool TryParse(string? value, out TimeSpan timeout)
    {
        timeout = TimeSpan.Zero;
        if (value is not { Length: >= 2 and <= 11 }
            || !int.TryParse(value.AsSpan(0, value.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var digits))
        {
            return false;
        }

        TimeSpan? parsed = value[^1] switch
        {
            'H' => TimeSpan.FromHours(digits),
            'M' => TimeSpan.FromMinutes(digits),
            'S' => TimeSpan.FromSeconds(digits),
            'm' => TimeSpan.FromMilliseconds(digits),
            'u' => TimeSpan.FromMicroseconds(digits),
            'n' => TimeSpan.FromTicks(digits / TimeSpan.NanosecondsPerTick),
            _ => null,
        };
        timeout = parsed ?? TimeSpan.Zero;
        return parsed is not null;
    }
}
