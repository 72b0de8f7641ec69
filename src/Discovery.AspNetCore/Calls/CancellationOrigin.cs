using System.Runtime.CompilerServices;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// Tells an <see cref="HttpClient.Timeout"/> from its caller's own cancellation. HttpClient links its timer and the caller's token into one
/// token, and passes that on; here is looked at what was linked. The fields are no contract: where a later .NET has them no longer, nothing
/// is told.
/// </summary>
internal static class CancellationOrigin
{
    private const string Linked1 = "System.Threading.CancellationTokenSource+Linked1CancellationTokenSource";
    private const string Linked2 = "System.Threading.CancellationTokenSource+Linked2CancellationTokenSource";

    /// <summary>
    /// Whether a cancelled token was cancelled by its own timer rather than by one of those that it is linked to; null if that cannot be told,
    /// because it is linked to none.
    /// </summary>
    public static bool? IsOwnTimer(CancellationToken token)
    {
        try
        {
            return SourceOf(ref token) switch
            {
                null => null,
                { } source when source.GetType().FullName == Linked1 => !First1(source).Token.IsCancellationRequested,
                { } source when source.GetType().FullName == Linked2 => !First2(source).Token.IsCancellationRequested && !Second2(source).Token.IsCancellationRequested,
                _ => null,
            };
        }
        catch (Exception e) when (e is MissingFieldException or TypeLoadException)
        {
            return null;
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_source")]
    private static extern ref CancellationTokenSource? SourceOf(ref CancellationToken token);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_reg1")]
    private static extern ref CancellationTokenRegistration First1([UnsafeAccessorType(Linked1)] object source);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_reg1")]
    private static extern ref CancellationTokenRegistration First2([UnsafeAccessorType(Linked2)] object source);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_reg2")]
    private static extern ref CancellationTokenRegistration Second2([UnsafeAccessorType(Linked2)] object source);
}
