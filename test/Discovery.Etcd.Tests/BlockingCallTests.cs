using System.Collections.Concurrent;
using Discovery.Etcd.Protocol;

namespace Discovery.Etcd.Tests;

/// <summary>A call that is waited for on the only thread of a synchronization context, as WPF, Windows Forms and Blazor have them.</summary>
public sealed class BlockingCallTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static readonly ResponseHeader Header = new() { Revision = 3, ClusterId = 1 };

    private ScriptedServer _server = null!;

    public async Task InitializeAsync()
    {
        _server = await ScriptedServer.StartAsync();
        var puts = 0;

        // The first one fails, so that the way through the failover is waited for too.
        _server.On(EtcdMethods.Put, http => ++puts == 1
            ? ScriptedServer.RefuseAsync(http, Grpc.Core.StatusCode.Unavailable, "etcdserver: no leader")
            : ScriptedServer.AnswerAsync(http, new PutResponse { Header = Header }));
        _server.On(EtcdMethods.Range, () => new RangeResponse { Header = Header });
        _server.On(EtcdMethods.DeleteRange, () => new DeleteRangeResponse { Header = Header });
        _server.On(EtcdMethods.Txn, () => new TxnResponse { Header = Header });
        _server.On(EtcdMethods.LeaseGrant, () => new LeaseGrantResponse { Header = Header, ID = 5, TTL = 10 });
        _server.On(EtcdMethods.LeaseRevoke, () => new LeaseRevokeResponse { Header = Header });
        _server.On(EtcdMethods.Status, () => new StatusResponse { Header = Header });
        _server.On(EtcdMethods.Authenticate, () => new AuthenticateResponse { Token = "t" });
        _server.On(EtcdMethods.Watch, http => ScriptedWatch.ServeAsync(http, _ => { }));
        _server.On(EtcdMethods.LeaseKeepAlive, async http =>
        {
            var request = await new GrpcFrameReader(http.Request.Body).ReadAsync(LeaseKeepAliveRequest.Parser, http.RequestAborted);
            await ScriptedServer.AnswerAsync(http, new LeaseKeepAliveResponse { ID = request!.ID, TTL = 17 });
        });
    }

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Every_operation_returns()
    {
        var client = new EtcdClient(new EtcdClientOptions { Endpoints = [_server.Endpoint], Username = "app", Password = "geheim" });
        var calls = new (string Name, Func<Task> Call)[]
        {
            ("put", () => client.PutAsync("a", default)),
            ("get", () => client.GetAsync("a")),
            ("list", () => client.ListAsync("a")),
            ("delete", () => client.DeleteAsync("a")),
            ("transaction", () => client.ExecuteAsync(new EtcdTransaction())),
            ("grant", () => client.GrantLeaseAsync(TimeSpan.FromSeconds(10))),
            ("renew", () => client.RenewLeaseAsync(5)),
            ("revoke", () => client.RevokeLeaseAsync(5)),
            ("status", () => client.GetStatusAsync()),
            ("stub", () => new KV.KVClient(client.CreateCallInvoker()).PutAsync(new PutRequest()).ResponseAsync),
            ("blocking stub", () =>
            {
                new KV.KVClient(client.CreateCallInvoker()).Put(new PutRequest());
                return Task.CompletedTask;
            }),
            ("dispose", () => client.DisposeAsync().AsTask()),
        };
        var done = new ConcurrentQueue<string>();
        using var context = new SingleThread();
        var all = context.Run(() =>
        {
            foreach (var (name, call) in calls)
            {
                Assert.True(call().Wait(Patience), $"'{name}' does not return");
                done.Enqueue(name);
            }
        });

        await all;

        Assert.Equal(calls.Select(c => c.Name), done);
    }

    /// <summary>One thread that runs what is posted to it, one after another.</summary>
    private sealed class SingleThread : SynchronizationContext, IDisposable
    {
        private readonly BlockingCollection<(SendOrPostCallback Callback, object? State)> _queue = [];

        public SingleThread() => new Thread(RunAll) { IsBackground = true }.Start();

        public Task Run(Action action)
        {
            var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Post(
                _ =>
                {
                    try
                    {
                        action();
                        done.SetResult();
                    }
                    catch (Exception e)
                    {
                        done.SetException(e);
                    }
                },
                null);
            return done.Task;
        }

        public override void Post(SendOrPostCallback d, object? state) => _queue.Add((d, state));

        public void Dispose() => _queue.CompleteAdding();

        private void RunAll()
        {
            SetSynchronizationContext(this);
            foreach (var (callback, state) in _queue.GetConsumingEnumerable())
            {
                callback(state);
            }
        }
    }
}
