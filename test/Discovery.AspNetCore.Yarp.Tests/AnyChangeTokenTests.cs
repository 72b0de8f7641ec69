using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Yarp.Tests;

public sealed class AnyChangeTokenTests
{
    [Fact]
    public void A_registration_that_is_disposed_leaves_nothing_behind()
    {
        Part[] parts = [new(), new()];
        var token = new AnyChangeToken(parts);

        var registration = token.RegisterChangeCallback(static _ => { }, null);
        Assert.All(parts, static p => Assert.Single(p.Callbacks));
        registration.Dispose();

        Assert.All(parts, static p => Assert.Empty(p.Callbacks));
    }

    [Fact]
    public void Whichever_changes_first_is_told_once()
    {
        Part[] parts = [new(), new(), new() { ActiveChangeCallbacks = false }];
        var token = new AnyChangeToken(parts);
        var calls = 0;
        using var registration = token.RegisterChangeCallback(_ => calls++, null);
        Assert.True(token.ActiveChangeCallbacks);
        Assert.False(token.HasChanged);
        Assert.Empty(parts[2].Callbacks);

        parts[1].Change();
        parts[0].Change();

        Assert.Equal(1, calls);
        Assert.True(token.HasChanged);
        Assert.False(new AnyChangeToken([parts[2]]).ActiveChangeCallbacks);
    }

    private sealed class Part : IChangeToken
    {
        public List<Action> Callbacks { get; } = [];

        public bool HasChanged { get; private set; }

        public bool ActiveChangeCallbacks { get; init; } = true;

        public void Change()
        {
            HasChanged = true;
            Callbacks.ToList().ForEach(static c => c());
        }

        public IDisposable RegisterChangeCallback(Action<object?> callback, object? state)
        {
            var registered = new Registration(this, () => callback(state));
            Callbacks.Add(registered.Call);
            return registered;
        }

        private sealed class Registration(Part part, Action call) : IDisposable
        {
            public Action Call => call;

            public void Dispose() => part.Callbacks.Remove(call);
        }
    }
}
