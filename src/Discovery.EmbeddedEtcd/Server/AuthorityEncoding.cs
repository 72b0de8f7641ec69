using System.Text;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>
/// Reads the header :authority so that Kestrel accepts it whatever it holds. etcd's Go clients send names that are no host names,
/// e.g. <c>http://127.0.0.1:2379</c>; an etcd does not look at them, while Kestrel would reset the call.
/// </summary>
internal sealed class AuthorityEncoding : Encoding
{
    public static Encoding? For(string header) => header is ":authority" or "Host" ? Instance : null;

    private static readonly AuthorityEncoding Instance = new();

    public override int GetByteCount(char[] chars, int index, int count) => Latin1.GetByteCount(chars, index, count);

    public override int GetBytes(char[] chars, int charIndex, int charCount, byte[] bytes, int byteIndex)
        => Latin1.GetBytes(chars, charIndex, charCount, bytes, byteIndex);

    public override int GetCharCount(byte[] bytes, int index, int count) => count;

    public override int GetChars(byte[] bytes, int byteIndex, int byteCount, char[] chars, int charIndex)
    {
        for (var i = 0; i < byteCount; i++)
        {
            var c = (char)bytes[byteIndex + i];
            chars[charIndex + i] = char.IsAsciiLetterOrDigit(c) ? c : '-';
        }

        return byteCount;
    }

    public override int GetMaxByteCount(int charCount) => charCount;

    public override int GetMaxCharCount(int byteCount) => byteCount;
}
