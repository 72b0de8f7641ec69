using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Etcd.Tests.Calls;

public sealed class FailoverTests : IAsyncLifetime
{
    private static readonly PutResponse Done = new() { Header = new ResponseHeader { Revision = 3 } };

    private ScriptedServer _bad = null!;
    private ScriptedServer _good = null!;

    public async Task InitializeAsync()
    {
        _bad = await ScriptedServer.StartAsync();
        _good = await ScriptedServer.StartAsync();
        _good.On(EtcdMethods.Put, () => Done);
    }

    public async Task DisposeAsync()
    {
        await _bad.DisposeAsync();
        await _good.DisposeAsync();
    }

    [Theory]
    [InlineData("Unavailable", "etcdserver: no leader")]
    [InlineData("Unknown", "context deadline exceeded")]
    [InlineData("FailedPrecondition", "etcdserver: rpc not supported for learner")]
    [InlineData("Unknown", "raft proposal dropped")]
    [InlineData("Unknown", "raft: stopped")]
    public async Task An_unavailable_endpoint_is_passed_over_and_left_alone(string code, string detail)
    {
        _bad.On(EtcdMethods.Put, http => ScriptedServer.RefuseAsync(http, Enum.Parse<StatusCode>(code), detail));
        for (var round = 0; round < 8; round++)
        {
            // Each client starts at a random endpoint.
            await using var client = Connect();
            var before = _bad.Calls.Count;
            for (var i = 0; i < 5; i++)
            {
                Assert.Equal(3, await client.PutAsync("a", default));
            }

            Assert.InRange(_bad.Calls.Count - before, 0, 1);
        }
    }

    [Fact]
    public async Task An_endpoint_that_hangs_costs_one_attempt_not_the_whole_call()
    {
        _bad.On(EtcdMethods.Put, ScriptedServer.HangAsync);
        for (var i = 0; i < 4; i++)
        {
            // Each client starts at a random endpoint.
            await using var client = Connect(o => (o.AttemptTimeout, o.RequestTimeout) = (TimeSpan.FromMilliseconds(300), TimeSpan.FromMinutes(1)));
            Assert.Equal(3, await client.PutAsync("a", default));
        }
    }

    [Fact]
    public async Task A_refusal_is_final_and_asks_nobody_else()
    {
        foreach (var server in (ScriptedServer[])[_bad, _good])
        {
            server.On(EtcdMethods.Put, http => ScriptedServer.RefuseAsync(http, StatusCode.PermissionDenied, "etcdserver: permission denied"));
        }

        await using var client = Connect();

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.PutAsync("a", default));

        Assert.Equal(1, _bad.Calls.Count + _good.Calls.Count);
        Assert.Single(error.Endpoints);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_callers_cancellation_ends_a_call_as_such_and_bears_the_callers_token(bool isBefore)
    {
        _good.On(EtcdMethods.Put, ScriptedServer.HangAsync);
        foreach (var callAsync in (Func<EtcdClient, CancellationToken, Task>[])
        [
            static (c, t) => c.GetAsync("a", t),
            static (c, t) => c.PutAsync("a", default, cancellationToken: t),
            static (c, t) => c.DeleteAsync("a", t),
            static (c, t) => c.ListAsync("a", cancellationToken: t),
            static (c, t) => c.ListManyAsync(["a", "b"], cancellationToken: t),
            static (c, t) => c.ExecuteAsync(new EtcdTransaction(), t),
            static (c, t) => c.GrantLeaseAsync(TimeSpan.FromMinutes(1), t),
            static (c, t) => c.RenewLeaseAsync(7, t),
            static (c, t) => c.RevokeLeaseAsync(7, t),
            static (c, t) => c.GetStatusAsync(t),
        ])
        {
            await using var client = Connect();
            using var cancelled = new CancellationTokenSource();
            if (isBefore)
            {
                await cancelled.CancelAsync();
            }

            var before = _bad.Calls.Count + _good.Calls.Count;
            var call = callAsync(client, cancelled.Token);
            await Eventually.IsTrue(() => isBefore || _bad.Calls.Count + _good.Calls.Count > before);
            await cancelled.CancelAsync();

            var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
            Assert.Equal(cancelled.Token, error.CancellationToken);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_answer_that_was_arriving_at_the_limit_is_not_called_silence(bool isLong)
    {
        foreach (var server in (ScriptedServer[])[_bad, _good])
        {
            server.On(EtcdMethods.Put, ScriptedServer.BeginToAnswerAsync);
            server.On(EtcdMethods.Range, ScriptedServer.BeginToAnswerAsync);
        }

        await using var client = Connect(o => o.RequestTimeout = TimeSpan.FromSeconds(3));

        var error = await Assert.ThrowsAsync<EtcdException>(() => isLong ? client.GetAsync("a") : client.PutAsync("a", default));

        Assert.Equal(isLong, error.Message.Contains("ask for less at a time", StringComparison.Ordinal));
        Assert.Equal((StatusCode.DeadlineExceeded, EtcdErrorReason.AnswerIncomplete), (error.StatusCode, error.Reason));
        Assert.Contains("the answer did not arrive whole within 3 s", error.Message, StringComparison.Ordinal);
        Assert.Contains("raise Etcd:RequestTimeout", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, _bad.Calls.Count + _good.Calls.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_operation_that_waits_for_its_connection_ends_with_its_caller_and_with_the_client(bool isCancelled)
    {
        using var silent = new BlackHole();
        await using var client = Connect(o => o.Endpoints = [$"http://{silent.Address}"]);
        using var cancelled = new CancellationTokenSource();
        var call = client.PutAsync("a", default, cancellationToken: cancelled.Token).WaitAsync(TimeSpan.FromSeconds(30));
        if (isCancelled)
        {
            await cancelled.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        }
        else
        {
            await client.DisposeAsync();
            await Assert.ThrowsAsync<ObjectDisposedException>(() => call);
        }
    }

    [Fact]
    public async Task A_disposed_client_says_so()
    {
        _good.On(EtcdMethods.Put, ScriptedServer.HangAsync);
        var client = Connect();
        var call = client.PutAsync("a", default);
        await Eventually.IsTrue(() => _bad.Calls.Count + _good.Calls.Count > 0);

        await client.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => call);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.PutAsync("a", default));
        Assert.Throws<ObjectDisposedException>(() => client.Watch("a", 0));
        Assert.Throws<ObjectDisposedException>(() => client.KeepLease(TimeSpan.FromSeconds(5)));
    }

    [Fact]
    public async Task A_lease_that_was_granted_by_an_attempt_whose_answer_was_lost_is_found_again()
    {
        var ids = new List<long>();
        foreach (var server in (ScriptedServer[])[_bad, _good])
        {
            server.On(EtcdMethods.LeaseGrant, async http =>
            {
                var request = await new GrpcFrameReader(http.Request.Body).ReadAsync(LeaseGrantRequest.Parser, default);
                ids.Add(request!.ID);
                if (ids.Count == 1)
                {
                    http.Abort();
                    return;
                }

                await ScriptedServer.RefuseAsync(http, StatusCode.FailedPrecondition, "etcdserver: lease already exists");
            });
            server.On(EtcdMethods.LeaseKeepAlive, async http =>
            {
                var request = await new GrpcFrameReader(http.Request.Body).ReadAsync(LeaseKeepAliveRequest.Parser, default);
                await ScriptedServer.AnswerAsync(http, new LeaseKeepAliveResponse { ID = request!.ID, TTL = 17 });
            });
        }

        await using var client = Connect(o => (o.AttemptTimeout, o.RequestTimeout) = (TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1)));

        var lease = await client.GrantLeaseAsync(TimeSpan.FromSeconds(17));

        Assert.Equal([lease.Id, lease.Id], ids);
        Assert.Equal(TimeSpan.FromSeconds(17), lease.TimeToLive);
    }

    // No attempt ends by its own limit, however busy the machine, unless a test wants it.
    private EtcdClient Connect(Action<EtcdClientOptions>? configure = null)
    {
        var options = new EtcdClientOptions
        {
            Endpoints = [$"{_bad.Endpoint},{_good.Endpoint}"],
            AttemptTimeout = TimeSpan.FromMinutes(1),
            RequestTimeout = TimeSpan.FromMinutes(1),
        };
        configure?.Invoke(options);
        return new EtcdClient(options);
    }
}
