using System.Net.Http.Headers;
using System.Runtime.CompilerServices;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// The parts of HTTP messages that are made by whoever only looks at them, or that cannot be handed on. They are a good half of what a
/// call through discovery would allocate. The fields are no contract: where a later .NET has them no longer, the usual way is gone.
/// </summary>
internal static class MessageParts
{
    /// <summary>Whether the fields are there.</summary>
    public static bool AreReadable { get; } = CanRead();

    /// <summary>A request's options, or null if it has none.</summary>
    public static HttpRequestOptions? OptionsOf(HttpRequestMessage request) => AreReadable ? OptionsField(request) : request.Options;

    /// <summary>A request's headers, or null if it has none.</summary>
    public static HttpRequestHeaders? HeadersOf(HttpRequestMessage request) => AreReadable ? HeadersField(request) : request.Headers;

    /// <summary>A body's headers, or null if it has none.</summary>
    public static HttpContentHeaders? HeadersOf(HttpContent content) => AreReadable ? HeadersField(content) : content.Headers;

    /// <summary>Gives a content the headers of the one that it stands for.</summary>
    public static void SetHeaders(HttpContent to, HttpContent from, bool mayShare)
    {
        if (mayShare && AreReadable)
        {
            HeadersField(to) = from.Headers;
            return;
        }

        foreach (var (name, values) in HeadersOf(from)?.NonValidated ?? default)
        {
            to.Headers.TryAddWithoutValidation(name, values);
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_options")]
    private static extern ref HttpRequestOptions? OptionsField(HttpRequestMessage request);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_headers")]
    private static extern ref HttpRequestHeaders? HeadersField(HttpRequestMessage request);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_headers")]
    private static extern ref HttpContentHeaders? HeadersField(HttpContent content);

    private static bool CanRead()
    {
        using var request = new HttpRequestMessage { Content = new ByteArrayContent([]) };
        try
        {
            return OptionsField(request) is null && HeadersField(request) is null && HeadersField(request.Content) is null;
        }
        catch (MissingFieldException)
        {
            return false;
        }
    }
}
