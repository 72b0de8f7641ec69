namespace Discovery.AspNetCore.Calls;

/// <summary>
/// Links the attempts that gRPC makes of a call by the retries or hedges of its service config. Each is a request of its own, and nothing of it
/// is known to be the same object as in the others; but all are sent in the flow of the call. Where no client has such policies it costs nothing.
/// </summary>
internal static class GrpcCallFlow
{
    private static AsyncLocal<Call?>? s_current;

    /// <summary>A call begins. To be disposed as soon as it has begun: what flows on from there is the call's, and what comes after it is not.</summary>
    /// <param name="method">The full name of its method, as in its URI.</param>
    /// <param name="caller">What cancels it.</param>
    public static Scope Begin(string method, CancellationToken caller)
    {
        var current = LazyInitializer.EnsureInitialized(ref s_current);
        var scope = new Scope(current, current.Value);
        current.Value = new Call(method, new TriedInstances(caller));
        return scope;
    }

    /// <summary>
    /// The instances that attempts of the gRPC call were sent to, of which a request is one; null if it is none. A call of another method may be made in
    /// the flow too, for a token for example.
    /// </summary>
    public static TriedInstances? Of(HttpRequestMessage request)
        => s_current?.Value is { } call && request.RequestUri?.AbsolutePath == call.Method ? call.Tried : null;

    /// <summary>Has a request say which call it is an attempt of, unless handlers above have made it say so.</summary>
    public static void Attach(HttpRequestMessage request)
    {
        if (Of(request) is { } tried && TriedInstances.Of(request) is null)
        {
            request.Options.Set(TriedInstances.Key, tried);
        }
    }

    /// <summary>Ends what <see cref="Begin"/> began; nothing if it is the default.</summary>
    public readonly struct Scope : IDisposable
    {
        private readonly AsyncLocal<Call?>? _current;
        private readonly Call? _outer;

        internal Scope(AsyncLocal<Call?> current, Call? outer) => (_current, _outer) = (current, outer);

        public void Dispose() => _current?.Value = _outer;
    }

    internal sealed record Call(string Method, TriedInstances Tried);
}
