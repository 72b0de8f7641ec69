using System.Globalization;
using System.Runtime.CompilerServices;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// The message of a problem, which is put together only if there is one: options are validated for each service, of which there may be thousands.
/// </summary>
[InterpolatedStringHandler]
internal ref struct ProblemText
{
    private DefaultInterpolatedStringHandler _text;

    public ProblemText(int literalLength, int formattedCount, bool isWrong, out bool isNeeded)
    {
        isNeeded = isWrong;
        _text = isWrong ? new DefaultInterpolatedStringHandler(literalLength, formattedCount, CultureInfo.InvariantCulture) : default;
    }

    public void AppendLiteral(string text) => _text.AppendLiteral(text);

    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

    public override string ToString() => _text.ToStringAndClear();
}
