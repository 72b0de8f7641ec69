using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace Discovery.AspNetCore.Tests.Listing;

/// <summary>Roots that etcd does not let be read.</summary>
public sealed class RefusedRootTests : EtcdTestBase
{
    private const string Line = "Warning: What is registered under '/microservices/' cannot be read; it is tried again until it can. ";

    [Fact]
    public async Task A_root_that_is_refused_is_named_though_another_one_is_answered()
    {
        var time = new FakeTimeProvider();
        var source = new RefusingSource("/microservices/");
        var app = Build([("Etcd:Discovery:Layout", "EtcdNaming, Kratos")], services =>
        {
            services.AddSingleton<IServiceSource>(source);
            services.AddKeyedSingleton<TimeProvider>(EtcdServiceKeys.TimeProvider, time);
        });
        var listed = app.Services.GetRequiredService<IServiceDirectory>().ListServicesAsync().AsTask();
        await source.Answered.WaitAsync(TimeSpan.FromSeconds(10));

        time.Advance(TimeSpan.FromSeconds(5));

        var failure = await Assert.ThrowsAsync<ServiceDiscoveryException>(() => listed);
        Assert.EndsWith($"The last attempt: {RefusingSource.Reason}", failure.Message, StringComparison.Ordinal);
        Assert.IsType<EtcdException>(failure.InnerException);
        Assert.Equal(Line + RefusingSource.Reason, Assert.Single(Log.Lines, static l => l.StartsWith("Warning", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_refusal_is_said_once_until_the_root_could_be_read()
    {
        var problem = new FollowProblem("/microservices/", Log);
        problem.OnStatusChanged(RefusingSource.Status(StatusCode.Unavailable));
        Assert.Empty(Log.Lines);

        problem.OnStatusChanged(RefusingSource.Status(StatusCode.PermissionDenied, "one"));
        problem.OnStatusChanged(RefusingSource.Status(StatusCode.Unavailable));
        problem.OnStatusChanged(RefusingSource.Status(StatusCode.PermissionDenied, "two"));
        Assert.Equal([Line + "one"], Log.Lines);
        Assert.Equal("two", problem.Current?.Message);

        problem.OnStatusChanged(new EtcdFollowStatus { Kind = EtcdFollowStatusKind.Watching });
        Assert.Null(problem.Current);
        problem.OnStatusChanged(RefusingSource.Status(StatusCode.Unauthenticated, "three"));
        Assert.Equal([Line + "one", Line + "three"], Log.Lines);
    }

    /// <summary>As behind a proxy that lets no streams through.</summary>
    [Fact]
    public async Task A_root_of_which_only_the_watch_is_refused_is_listed_and_not_said_to_be_unreadable()
    {
        Etcd.Fail(int.MaxValue, StatusCode.Unimplemented, "no streams here", "Watch");
        var directory = Read();
        Assert.Empty(NamesOf(await directory.ListServicesAsync()));

        await RegisterAsync("greeter", "10.0.0.1:80");
        await Eventually.IsTrue(async () => NamesOf(await directory.ListServicesAsync()).SequenceEqual(["greeter"]));

        Assert.DoesNotContain(Log.Lines, static l => l.StartsWith("Warning: What is registered", StringComparison.Ordinal));
    }

    [Fact]
    public void A_watch_that_is_refused_is_no_problem_and_a_list_that_is_refused_after_it_is_one()
    {
        var problem = new FollowProblem("/microservices/", Log);
        problem.OnStatusChanged(RefusingSource.Status(StatusCode.Unimplemented, "the watch", "Watch"));
        Assert.Null(problem.Current);
        problem.OnStatusChanged(RefusingSource.Status(StatusCode.Unimplemented, "the watch", "Watch") with { Kind = EtcdFollowStatusKind.Polling });
        Assert.Null(problem.Current);
        Assert.Empty(Log.Lines);

        problem.OnStatusChanged(RefusingSource.Status(StatusCode.PermissionDenied, "the list"));

        Assert.Equal("the list", problem.Current?.Message);
        Assert.Equal([Line + "the list"], Log.Lines);
    }
}
