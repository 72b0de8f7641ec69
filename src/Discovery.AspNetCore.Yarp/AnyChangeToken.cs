using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Yarp;

/// <summary>
/// Changes when one of several tokens does. Unlike <see cref="CompositeChangeToken"/> it leaves nothing behind in them when a registration is
/// disposed: they live until their own next change, and the proxy combines them anew with each change of its configuration.
/// </summary>
internal sealed class AnyChangeToken(IReadOnlyList<IChangeToken> tokens) : IChangeToken
{
    public bool HasChanged => tokens.Any(static t => t.HasChanged);

    public bool ActiveChangeCallbacks => tokens.Any(static t => t.ActiveChangeCallbacks);

    public IDisposable RegisterChangeCallback(Action<object?> callback, object? state)
    {
        var registration = new Registration(callback, state);
        registration.Add(tokens.Where(static t => t.ActiveChangeCallbacks));
        return registration;
    }

    private sealed class Registration(Action<object?> callback, object? state) : IDisposable
    {
        private readonly List<IDisposable> _parts = [];
        private int _isCalled;

        public void Add(IEnumerable<IChangeToken> tokens)
        {
            foreach (var token in tokens)
            {
                _parts.Add(token.RegisterChangeCallback(static r => ((Registration)r!).OnChanged(), this));
            }
        }

        public void Dispose() => _parts.ForEach(static p => p.Dispose());

        /// <summary>More than one may change, and one that has changed already tells so at once.</summary>
        private void OnChanged()
        {
            if (Interlocked.Exchange(ref _isCalled, 1) == 0)
            {
                callback(state);
            }
        }
    }
}
