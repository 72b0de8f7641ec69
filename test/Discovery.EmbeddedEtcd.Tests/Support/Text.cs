using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Tests.Support;

/// <summary>Strings as keys and values.</summary>
internal static class Text
{
    public static ByteString Bytes(this string text) => ByteString.CopyFromUtf8(text);

    /// <summary>The end of the range of all keys that start with the text; its last character must have a successor.</summary>
    public static ByteString PrefixEnd(this string text) => (text[..^1] + (char)(text[^1] + 1)).Bytes();
}
