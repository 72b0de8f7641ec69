using Discovery.Etcd;
using Discovery.Etcd.Protocol;

namespace Discovery.Benchmarks.Client;

/// <summary>A client of etcd, as one would use it.</summary>
internal abstract class EtcdContender : IAsyncDisposable
{
    public abstract Task PutAsync(string key, string value);

    public abstract Task GetAsync(string key);

    /// <summary>Opens a watch on a prefix, from now on.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="onEvents">Is told how many events came.</param>
    /// <returns>Ends the watch.</returns>
    public abstract Task<IAsyncDisposable> WatchAsync(string prefix, Action<int> onEvents);

    public abstract ValueTask DisposeAsync();

    /// <summary>Ours.</summary>
    public sealed class Ours(string endpoint) : EtcdContender
    {
        private readonly EtcdClient _client = new(new EtcdClientOptions { Endpoints = [endpoint] });

        public override Task PutAsync(string key, string value) => _client.PutAsync(key, System.Text.Encoding.UTF8.GetBytes(value));

        public override Task GetAsync(string key) => _client.GetAsync(key);

        public override async Task<IAsyncDisposable> WatchAsync(string prefix, Action<int> onEvents)
        {
            var watch = _client.Watch(prefix, 0);
            var opened = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _ = Task.Run(async () =>
            {
                await foreach (var update in watch.ReadAllAsync())
                {
                    opened.TrySetResult();
                    if (update.Events.Count > 0)
                    {
                        onEvents(update.Events.Count);
                    }
                }
            });
            await opened.Task;
            return watch;
        }

        public override ValueTask DisposeAsync() => _client.DisposeAsync();
    }

    /// <summary>dotnet-etcd by itself.</summary>
    public sealed class DotnetEtcd(string endpoint) : EtcdContender
    {
        private readonly dotnet_etcd.EtcdClient _client = new(endpoint);

        public override Task PutAsync(string key, string value) => _client.PutAsync(key, value);

        public override Task GetAsync(string key) => _client.GetAsync(key);

        public override async Task<IAsyncDisposable> WatchAsync(string prefix, Action<int> onEvents)
        {
            // A client for each watch: one that is cancelled must not go on at the server and cost the others' turns.
            var client = new dotnet_etcd.EtcdClient(endpoint);
            await client.WatchRangeAsync(prefix, (Etcdserverpb.WatchResponse response) => onEvents(response.Events.Count));
            return new Watching(client.Dispose);
        }

        public override ValueTask DisposeAsync()
        {
            _client.Dispose();
            return ValueTask.CompletedTask;
        }
    }

    /// <summary>Bare stubs.</summary>
    public sealed class Stub(string endpoint) : EtcdContender
    {
        private readonly RawEtcd _client = new(endpoint);

        public override async Task PutAsync(string key, string value)
            => await _client.KeyValues.PutAsync(new PutRequest { Key = Google.Protobuf.ByteString.CopyFromUtf8(key), Value = Google.Protobuf.ByteString.CopyFromUtf8(value) });

        public override async Task GetAsync(string key) => await _client.KeyValues.RangeAsync(new RangeRequest { Key = Google.Protobuf.ByteString.CopyFromUtf8(key) });

        public override async Task<IAsyncDisposable> WatchAsync(string prefix, Action<int> onEvents)
        {
            var call = await _client.WatchAsync(prefix);
            _ = Task.Run(async () =>
            {
                try
                {
                    while (await call.ResponseStream.MoveNext(CancellationToken.None))
                    {
                        onEvents(call.ResponseStream.Current.Events.Count);
                    }
                }
                catch (Grpc.Core.RpcException)
                {
                    // The turn is over.
                }
            });
            return new Watching(call.Dispose);
        }

        public override ValueTask DisposeAsync()
        {
            _client.Dispose();
            return ValueTask.CompletedTask;
        }
    }

    private sealed class Watching(Action end) : IAsyncDisposable
    {
        public ValueTask DisposeAsync()
        {
            end();
            return ValueTask.CompletedTask;
        }
    }
}
