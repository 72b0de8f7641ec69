using System.Globalization;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>What may be written for a setting that is no text.</summary>
/// <param name="Description">In words, with an example.</param>
/// <param name="Example">The example.</param>
/// <param name="CanRead">Whether a text can be read as such a value.</param>
internal sealed record ValidValue(string Description, string Example, Func<string, bool> CanRead)
{
    public static ValidValue Percent { get; } = new("a share in percent, e.g. 5", "5", IsNumber);

    /// <summary>Describes a number, a switch, one of given names, or a time.</summary>
    /// <param name="type">Its type.</param>
    /// <param name="value">The default, which is the example where it shows how a value is written.</param>
    public static ValidValue Of(Type type, object? value)
    {
        if (type.IsEnum)
        {
            var names = Enum.GetNames(type);
            return new ValidValue($"{string.Join(", ", names[..^1])} or {names[^1]}", names[0], text => Enum.TryParse(type, text, ignoreCase: true, out _));
        }

        if (type == typeof(bool))
        {
            return new ValidValue("true or false", "true", static text => bool.TryParse(text, out _));
        }

        if (type == typeof(TimeSpan))
        {
            var time = value is TimeSpan { Ticks: not 0 } known
                ? known.ToString(known.Ticks % TimeSpan.TicksPerSecond == 0 ? "c" : @"hh\:mm\:ss\.FFFFFFF", CultureInfo.InvariantCulture)
                : "00:00:05";
            return new ValidValue($"a time, e.g. {time}", time, static text => TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out _));
        }

        var number = value is null or 0 or 0L or 0d ? "10" : Convert.ToString(value, CultureInfo.InvariantCulture)!;
        return type == typeof(double) || type == typeof(float)
            ? new ValidValue($"a number, e.g. {number}", number, IsNumber)
            : new ValidValue($"a whole number, e.g. {number}", number, IsWhole);

        bool IsWhole(string text)
            => type == typeof(int)
                ? int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out _)
                : long.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out _);
    }

    private static bool IsNumber(string text) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out _);
}
