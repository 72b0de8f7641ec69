using System.Globalization;
using System.Text;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>
/// Encodes the header grpc-message as gRPC has it: only what is not printable ASCII, and the percent sign. Clients decode it with the
/// same economy, so that one who encodes more is misread.
/// </summary>
internal static class GrpcMessageText
{
    public static string Encode(string message)
    {
        if (message.All(IsPlain))
        {
            return message;
        }

        var text = new StringBuilder(message.Length * 2);
        foreach (var value in Encoding.UTF8.GetBytes(message))
        {
            _ = IsPlain((char)value) ? text.Append((char)value) : text.Append(CultureInfo.InvariantCulture, $"%{value:X2}");
        }

        return text.ToString();
    }

    private static bool IsPlain(char c) => c is >= ' ' and <= '~' and not '%';
}
