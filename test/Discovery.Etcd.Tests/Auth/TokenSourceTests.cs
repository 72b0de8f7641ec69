using Discovery.Etcd.Auth;
using Discovery.Etcd.Calls;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Etcd.Tests.Auth;

public sealed class TokenSourceTests
{
    private readonly FakeTimeProvider _clock = new();
    private readonly EtcdClientOptions _options = new() { Username = "app", Password = "geheim" };
    private int _fetches;

    [Fact]
    public async Task A_crowd_fetches_one_token_and_one_who_gives_up_takes_it_from_nobody()
    {
        var answer = new TaskCompletionSource<AuthenticateResponse>();
        var tokens = Create(() => answer.Task);
        using var impatient = new CancellationTokenSource();
        var first = tokens.GetAsync(impatient.Token);
        var others = Enumerable.Range(0, 50).Select(_ => tokens.GetAsync(default)).ToList();

        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        answer.SetResult(new AuthenticateResponse { Token = "t1" });

        Assert.All(await Task.WhenAll(others), t => Assert.Equal("t1", t));
        Assert.Equal(1, _fetches);
    }

    [Fact]
    public async Task Only_the_token_that_was_refused_is_forgotten()
    {
        var tokens = Create(() => Task.FromResult(new AuthenticateResponse { Token = $"t{_fetches}" }));
        var renewals = 0;
        tokens.Invalidated += () => renewals++;
        Assert.Equal("t1", await tokens.GetAsync(default));

        // Fifty calls were refused with the same token: one renewal.
        for (var i = 0; i < 50; i++)
        {
            tokens.Invalidate("t1");
            Assert.Equal("t2", await tokens.GetAsync(default));
        }

        Assert.Equal((2, 1), (_fetches, renewals));
    }

    [Fact]
    public async Task A_refusal_is_remembered_for_a_moment_and_then_tried_again()
    {
        var tokens = Create(() => Task.FromException<AuthenticateResponse>(
            new EtcdException("Refused.", new Status(StatusCode.InvalidArgument, EtcdMessages.AuthFailed), "Authenticate", [])));
        for (var i = 0; i < 50; i++)
        {
            await Assert.ThrowsAsync<EtcdException>(() => tokens.GetAsync(default));
        }

        Assert.Equal(1, _fetches);
        _clock.Advance(TimeSpan.FromSeconds(1));
        await Assert.ThrowsAsync<EtcdException>(() => tokens.GetAsync(default));
        Assert.Equal(2, _fetches);
    }

    [Fact]
    public async Task A_fetch_that_was_cancelled_is_not_remembered_for_ever()
    {
        var tokens = Create(() => _fetches == 1
            ? Task.FromCanceled<AuthenticateResponse>(new CancellationToken(canceled: true))
            : Task.FromResult(new AuthenticateResponse { Token = "t2" }));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => tokens.GetAsync(default));

        _clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal("t2", await tokens.GetAsync(default));
    }

    [Fact]
    public async Task A_cluster_without_authentication_needs_no_token()
    {
        var tokens = Create(() => Task.FromException<AuthenticateResponse>(
            new EtcdException("Refused.", new Status(StatusCode.FailedPrecondition, EtcdMessages.AuthNotEnabled), "Authenticate", [])));

        Assert.Null(await tokens.GetAsync(default));
        Assert.Null(await tokens.GetAsync(default));
        Assert.Equal(1, _fetches);
    }

    [Fact]
    public async Task Without_a_user_nothing_is_fetched()
    {
        _options.Username = null;

        Assert.Null(await Create(() => throw new InvalidOperationException()).GetAsync(default));
    }

    [Fact]
    public void The_messages_that_carry_secrets_do_not_show_them()
    {
        Assert.DoesNotContain("geheim", new AuthenticateRequest { Name = "app", Password = "geheim" }.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("geheim", new AuthenticateResponse { Token = "geheim" }.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("geheim", $"{(object)_options}", StringComparison.Ordinal);
    }

    private TokenSource Create(Func<Task<AuthenticateResponse>> answer) => new(
        _options,
        (_, _) =>
        {
            Interlocked.Increment(ref _fetches);
            return answer();
        },
        _clock);
}
