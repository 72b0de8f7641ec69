using Discovery.Etcd.DotnetEtcd.Tests.Support;
using Grpc.Core;
using dotnet_etcd;

namespace Discovery.Etcd.DotnetEtcd.Tests;

/// <summary>What becomes of a watch: with dotnet-etcd by itself, and with AddDotnetEtcd.</summary>
public abstract class LostStreamTests(Backend backend)
{
    private readonly string _prefix = Backend.NewPrefix();

    [Theory]
    [InlineData(StreamEnding.Cleanly)]
    [InlineData(StreamEnding.WithoutStatus)]
    [InlineData(StreamEnding.ByReset)]
    public async Task A_stream_that_ends_without_an_error_ends_no_watch(StreamEnding ending)
    {
        await using var alone = await Side.AloneAsync(backend);
        await using var ours = await Side.OursAsync(backend);
        await alone.WatchAsync(_prefix);
        await ours.WatchAsync(_prefix);

        await alone.Relay.EndWatchesAsync(ending);
        await ours.Relay.EndWatchesAsync(ending);
        await backend.PutAsync(_prefix + "a", "1");

        await ours.SeesAsync("put a=1");
        await alone.NeverSeesAsync("put a=1");
        Assert.Equal(1, alone.Relay.WatchesOpened);
    }

    [Fact]
    public async Task A_watch_that_is_refused_after_a_reconnect_is_opened_again()
    {
        await using var alone = await Side.AloneAsync(backend);
        await using var ours = await Side.OursAsync(backend);
        await alone.WatchAsync(_prefix);
        await ours.WatchAsync(_prefix);

        foreach (var side in (Side[])[alone, ours])
        {
            side.Relay.RefuseNextWatch("rpc error: code = Unauthenticated desc = etcdserver: invalid auth token");
            await side.Relay.EndWatchesAsync(StreamEnding.Unavailable);
        }

        await Eventually.IsTrue(() => alone.Relay.WatchesOpened == 2);
        await backend.PutAsync(_prefix + "a", "1");

        await ours.SeesAsync("put a=1");
        await alone.NeverSeesAsync("put a=1");
        Assert.DoesNotContain(alone.Responses, r => r.Canceled);
    }

    [Fact]
    public async Task A_compaction_is_told_and_what_still_exists_follows()
    {
        await using var alone = await Side.AloneAsync(backend);
        await using var ours = await Side.OursAsync(backend);
        await alone.WatchAsync(_prefix);
        await ours.WatchAsync(_prefix);
        var simple = new List<string>();
        await ours.Watches.WatchRangeAsync(_prefix, (WatchEvent e) => simple.Add($"{e.Type} {e.Key[_prefix.Length..]}={e.Value}"));

        foreach (var side in (Side[])[alone, ours])
        {
            side.Relay.RefusesStreams = true;
            await side.Relay.EndWatchesAsync(StreamEnding.Unavailable);
        }

        await backend.PutAsync(_prefix + "a", "1");
        await backend.PutAsync(_prefix + "a", "2");
        await backend.PutAsync(_prefix + "b", "1");
        await backend.CompactAsync();
        await backend.PutAsync(_prefix + "c", "1");
        await backend.Direct.DeleteAsync(_prefix + "c");
        (alone.Relay.RefusesStreams, ours.Relay.RefusesStreams) = (false, false);
        await Eventually.IsTrue(() => alone.Responses.Any(r => r.CompactRevision > 0));
        await ours.SeesAsync("delete c");
        await backend.PutAsync(_prefix + "d", "1");

        await ours.SeesAsync("put d=1");
        await alone.NeverSeesAsync("put d=1");
        Assert.Equal(["put a=2", "put b=1", "put c=1", "delete c", "put d=1"], ours.Events);
        Assert.Contains(ours.Responses, r => r is { Canceled: true, CompactRevision: > 0 } && r.CancelReason.Contains("compacted", StringComparison.Ordinal));
        await Eventually.IsTrue(() => simple.Contains("Put d=1"));
        Assert.Equal(["Put a=2", "Put b=1", "Put c=1", "Delete c=", "Put d=1"], simple);
    }

    [Fact]
    public async Task A_member_that_is_silent_is_left()
    {
        await using var alone = await Side.AloneAsync(backend);
        await using var ours = await Side.OursAsync(backend);
        await alone.WatchAsync(_prefix);
        await ours.WatchAsync(_prefix);

        await alone.Relay.EndWatchesAsync(StreamEnding.Never);
        await ours.Relay.EndWatchesAsync(StreamEnding.Never);
        await backend.PutAsync(_prefix + "a", "1");

        await ours.SeesAsync("put a=1");
        await alone.NeverSeesAsync("put a=1");
        Assert.Equal(1, alone.Relay.WatchesOpened);
        Assert.Equal("true", ours.Relay.WatchHeaders["hasleader"]);
        Assert.DoesNotContain("hasleader", alone.Relay.WatchHeaders.Keys);
    }

    [Fact]
    public async Task A_restored_cluster_is_noticed()
    {
        var other = backend.Other();
        await other.InitializeAsync();
        await using var alone = await Side.AloneAsync(backend);
        await using var ours = await Side.OursAsync(backend);
        for (var i = 0; i < 30; i++)
        {
            await backend.PutAsync(_prefix + "before", $"{i}");
        }

        await alone.WatchAsync(_prefix);
        await ours.WatchAsync(_prefix);
        await other.PutAsync(_prefix + "a", "restored");

        foreach (var side in (Side[])[alone, ours])
        {
            side.Relay.Upstream = other.Endpoint;
            await side.Relay.EndWatchesAsync(StreamEnding.Unavailable);
        }

        await Eventually.IsTrue(() => alone.Relay.WatchesOpened == 2);
        await ours.SeesAsync("put a=restored");
        await other.PutAsync(_prefix + "b", "1");

        await ours.SeesAsync("put b=1");
        await alone.NeverSeesAsync("put b=1");
        Assert.Contains(ours.Responses, r => r is { Canceled: true, CompactRevision: 0, CancelReason.Length: > 0 });
        await other.DisposeAsync();
    }

    [Fact]
    public async Task A_slow_callback_delays_no_other_watch()
    {
        await using var alone = await Side.AloneAsync(backend);
        await using var ours = await Side.OursAsync(backend);
        using var goOn = new ManualResetEventSlim();
        using var aloneBlocks = new CountdownEvent(1);
        using var oursBlocks = new CountdownEvent(1);
        try
        {
            await alone.WatchAsync(_prefix);
            await ours.WatchAsync(_prefix);
            await alone.Watches.WatchRangeAsync(_prefix + "slow", (WatchEvent _) => Block(aloneBlocks));
            await ours.Watches.WatchRangeAsync(_prefix + "slow", (WatchEvent _) => Block(oursBlocks));
            await backend.PutAsync(_prefix + "slow", "1");
            await Eventually.IsTrue(() => aloneBlocks.IsSet && oursBlocks.IsSet);
            await backend.PutAsync(_prefix + "a", "1");

            await ours.SeesAsync("put a=1");
            await alone.NeverSeesAsync("put a=1");
        }
        finally
        {
            goOn.Set();
        }

        void Block(CountdownEvent blocks)
        {
            blocks.Signal();
            goOn.Wait();
        }
    }
}

public sealed class LostStreamsOnEmbedded(EmbeddedBackend backend) : LostStreamTests(backend), IClassFixture<EmbeddedBackend>;

[Trait(Needs.Name, Needs.Etcd)]
public sealed class LostStreamsOnEtcd(SecureBackend backend) : LostStreamTests(backend), IClassFixture<SecureBackend>
{
    private readonly string _prefix = Backend.NewPrefix();

    [Fact]
    public async Task A_watch_survives_that_its_token_becomes_invalid()
    {
        await using var alone = await Side.AloneAsync(backend);
        await using var ours = await Side.OursAsync(backend);
        await alone.WatchAsync(_prefix);
        await ours.WatchAsync(_prefix);

        await backend.InvalidateTokensAsync();
        await alone.Relay.EndWatchesAsync(StreamEnding.Unavailable);
        await ours.Relay.EndWatchesAsync(StreamEnding.Unavailable);
        await Eventually.IsTrue(() => alone.Relay.WatchesOpened == 2);
        await backend.PutAsync(_prefix + "a", "1");

        await ours.SeesAsync("put a=1");
        await alone.NeverSeesAsync("put a=1");
    }

    [Fact]
    public async Task The_token_goes_with_every_stream()
    {
        await using var alone = await Side.AloneAsync(backend, SecureBackend.ConnectAnonymously);
        await using var ours = await Side.OursAsync(backend);
        var token = (await backend.Direct.AuthenticateAsync(new() { Name = Backend.User, Password = Backend.Password })).Token;
        await alone.WatchAsync(_prefix, new Metadata { { "token", token } });
        await ours.WatchAsync(_prefix);

        await alone.Relay.EndWatchesAsync(StreamEnding.Unavailable);
        await ours.Relay.EndWatchesAsync(StreamEnding.Unavailable);
        await Eventually.IsTrue(() => alone.Relay.WatchesOpened == 2);
        await backend.PutAsync(_prefix + "a", "1");

        await ours.SeesAsync("put a=1");
        await alone.NeverSeesAsync("put a=1");
        Assert.DoesNotContain("token", alone.Relay.WatchHeaders.Keys);
        Assert.NotEmpty(ours.Relay.WatchHeaders["token"]);
    }

    [Fact]
    public async Task A_refusal_is_told_once_and_tried_on()
    {
        await using var ours = await Side.OursAsync(backend);
        await ours.WatchAsync(_prefix);
        await backend.PermitAsync(isAllowed: false);
        try
        {
            await ours.Relay.EndWatchesAsync(StreamEnding.Unavailable);
            await Eventually.IsTrue(() => ours.Responses.Any(r => r.Canceled));
            await Eventually.IsTrue(() => ours.Log.Lines.Any(l => l.Contains("refused", StringComparison.Ordinal)));
        }
        finally
        {
            await backend.PermitAsync(isAllowed: true);
        }

        await backend.PutAsync(_prefix + "a", "1");

        await ours.SeesAsync("put a=1");
        var refusal = Assert.Single(ours.Responses, r => r.Canceled);
        Assert.Contains("permission denied", refusal.CancelReason, StringComparison.Ordinal);
        Assert.Equal(0, refusal.CompactRevision);
        Assert.Equal([true, false, true, false], ours.Responses.Select(r => r.Created));
    }

    [Fact]
    public async Task A_token_of_the_callers_own_is_refused_rather_than_dropped()
    {
        await using var ours = await Side.OursAsync(backend);

        var error = await Assert.ThrowsAsync<NotSupportedException>(() => ours.WatchAsync(_prefix, new Metadata { { "token", "secret" } }));

        Assert.Contains("Etcd:Username", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", error.Message, StringComparison.Ordinal);
    }
}
