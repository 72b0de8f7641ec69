using System.Runtime.CompilerServices;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// A request's options if it has any. <see cref="HttpRequestMessage.Options"/> makes some for whoever only looks, which would be a third
/// of what a call costs.
/// </summary>
internal static class ExistingOptions
{
    private static readonly bool IsReadable = CanRead();

    public static HttpRequestOptions? Of(HttpRequestMessage request) => IsReadable ? Field(request) : request.Options;

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_options")]
    private static extern ref HttpRequestOptions? Field(HttpRequestMessage request);

    /// <summary>The field is no contract: where a later .NET has it no longer, options are made.</summary>
    private static bool CanRead()
    {
        using var request = new HttpRequestMessage();
        try
        {
            return Field(request) is null;
        }
        catch (MissingFieldException)
        {
            return false;
        }
    }
}
