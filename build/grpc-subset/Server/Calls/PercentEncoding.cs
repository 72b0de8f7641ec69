using System.Globalization;
using System.Text;

namespace Grpc.AspNetCore.Server.Calls;

/// <summary>Encodes <c>grpc-message</c>: UTF-8, of which all but printable ASCII is escaped, and the escape character itself.</summary>
internal static class PercentEncoding
{
    public static string Encode(string text)
    {
        if (text.All(static c => c < 0x7f && IsPlain((byte)c)))
        {
            return text;
        }

        var encoded = new StringBuilder(text.Length * 2);
        foreach (var octet in Encoding.UTF8.GetBytes(text))
        {
            if (IsPlain(octet))
            {
                encoded.Append((char)octet);
            }
            else
            {
                encoded.Append(CultureInfo.InvariantCulture, $"%{octet:X2}");
            }
        }

        return encoded.ToString();
    }

    private static bool IsPlain(byte octet) => octet is >= 0x20 and < 0x7f and not (byte)'%';
}
