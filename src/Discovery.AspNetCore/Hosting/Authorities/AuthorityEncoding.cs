using System.Text;

namespace Discovery.AspNetCore.Hosting.Authorities;

/// <summary>
/// Reads <c>:authority</c> as another encoding does, and the names of this application's services as the hosts that they stand for.
/// Kestrel checks the header before any middleware sees the request, and its encoding is what it asks for on the way there.
/// </summary>
internal sealed class AuthorityEncoding(Encoding inner, GoAuthorities authorities) : Encoding
{
    /// <summary>The pseudo header of HTTP/2, which grpc-go speaks; the Host header of HTTP/1.1 stays as it is.</summary>
    public const string Header = ":authority";

    public override int GetCharCount(byte[] bytes, int index, int count) => Read(bytes, index, count).Length;

    public override int GetChars(byte[] bytes, int byteIndex, int byteCount, char[] chars, int charIndex)
    {
        var text = Read(bytes, byteIndex, byteCount);
        text.CopyTo(0, chars, charIndex, text.Length);
        return text.Length;
    }

    public override string GetString(byte[] bytes, int index, int count) => Read(bytes, index, count);

    public override int GetByteCount(char[] chars, int index, int count) => inner.GetByteCount(chars, index, count);

    public override int GetBytes(char[] chars, int charIndex, int charCount, byte[] bytes, int byteIndex)
        => inner.GetBytes(chars, charIndex, charCount, bytes, byteIndex);

    public override int GetMaxByteCount(int charCount) => inner.GetMaxByteCount(charCount);

    // A host may be longer than the name: it has a fixed text where nothing of the name can stand in a host.
    public override int GetMaxCharCount(int byteCount) => inner.GetMaxCharCount(byteCount) + 16;

    private string Read(byte[] bytes, int index, int count)
    {
        var text = inner.GetString(bytes, index, count);
        return authorities.FindHost(text) ?? text;
    }
}
