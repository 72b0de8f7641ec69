using Discovery.AspNetCore.Calls;

namespace Discovery.AspNetCore.Tests.Calls;

public sealed class GrpcCallFlowTests
{
    private readonly HttpRequestMessage _request = new(HttpMethod.Post, "http://svc/greeter/hello");

    [Fact]
    public async Task Attempts_that_flow_from_a_call_share_it_and_later_calls_do_not()
    {
        using var go = new SemaphoreSlim(0);
        Task<TriedInstances?> first;
        Task<TriedInstances?> second;
        using (GrpcCallFlow.Begin("/greeter/hello", CancellationToken.None))
        {
            first = AttemptAsync(go);
            second = AttemptAsync(go);
        }

        Assert.Null(GrpcCallFlow.Of(_request));
        Task<TriedInstances?> other;
        using (GrpcCallFlow.Begin("/greeter/hello", CancellationToken.None))
        {
            other = AttemptAsync(go);
        }

        go.Release(3);
        Assert.NotNull(await first);
        Assert.Same(await first, await second);
        Assert.NotNull(await other);
        Assert.NotSame(await first, await other);
        Assert.Null(GrpcCallFlow.Of(_request));
    }

    [Fact]
    public void A_call_that_another_one_makes_on_its_way_is_no_attempt_of_it()
    {
        using var token = new HttpRequestMessage(HttpMethod.Post, "http://svc/tokens/get");
        using var flow = GrpcCallFlow.Begin("/greeter/hello", CancellationToken.None);

        GrpcCallFlow.Attach(token);
        Assert.Null(TriedInstances.Of(token));

        TriedInstances? ofToken;
        using (GrpcCallFlow.Begin("/tokens/get", CancellationToken.None))
        {
            ofToken = GrpcCallFlow.Of(token);
            Assert.Null(GrpcCallFlow.Of(_request));
        }

        Assert.NotNull(ofToken);
        Assert.NotNull(GrpcCallFlow.Of(_request));
        Assert.NotSame(ofToken, GrpcCallFlow.Of(_request));
    }

    [Fact]
    public void What_handlers_have_said_of_a_request_stays()
    {
        using var flow = GrpcCallFlow.Begin("/greeter/hello", CancellationToken.None);
        var tried = new TriedInstances(CancellationToken.None, _request, GrpcCallFlow.Of(_request));
        _request.Options.Set(TriedInstances.Key, tried);

        GrpcCallFlow.Attach(_request);

        Assert.Same(tried, TriedInstances.Of(_request));
    }

    private async Task<TriedInstances?> AttemptAsync(SemaphoreSlim go)
    {
        await go.WaitAsync();
        return GrpcCallFlow.Of(_request);
    }
}
