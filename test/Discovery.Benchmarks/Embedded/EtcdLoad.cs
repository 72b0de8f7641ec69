using System.Diagnostics;
using System.Globalization;
using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Discovery.Benchmarks.Embedded;

/// <summary>Load on an etcd over a few connections.</summary>
internal sealed class EtcdLoad : IDisposable
{
    private const int Connections = 4;

    private static readonly ByteString Value = ByteString.CopyFrom(new byte[64]);

    private readonly GrpcChannel[] _channels;
    private readonly KV.KVClient[] _keyValues;
    private int _nextKey;

    public EtcdLoad(string endpoint)
    {
        _channels = [.. Enumerable.Range(0, Connections).Select(_ => GrpcChannel.ForAddress(endpoint, new GrpcChannelOptions
        {
            HttpHandler = new SocketsHttpHandler { UseProxy = false, ActivityHeadersPropagator = null, MaxConnectionsPerServer = 1 },
            DisposeHttpClient = true,
        }))];
        _keyValues = [.. _channels.Select(static c => new KV.KVClient(c))];
    }

    public Task<Rate> PutsAsync(int inFlight, TimeSpan duration)
        => RateAsync(inFlight, duration, 1, i => ClientOf(i).PutAsync(new PutRequest { Key = Key(Interlocked.Increment(ref _nextKey) % 10_000), Value = Value }).ResponseAsync);

    public Task<Rate> GetsAsync(int inFlight, TimeSpan duration)
        => RateAsync(inFlight, duration, 1, i => ClientOf(i).RangeAsync(new RangeRequest { Key = Key(Interlocked.Increment(ref _nextKey) % 10_000) }).ResponseAsync);

    public Task<Rate> TransactionsAsync(int size, int inFlight, TimeSpan duration)
        => RateAsync(inFlight, duration, size, i => ClientOf(i).TxnAsync(Puts(Interlocked.Add(ref _nextKey, size), size, 10_000)).ResponseAsync);

    public async Task FillAsync(int puts, int keys, int size)
    {
        for (var i = 0; i < puts; i += size)
        {
            await ClientOf(0).TxnAsync(Puts(i, size, keys));
        }
    }

    /// <summary>Puts a key that many watch, on a few streams, and waits until all have seen it.</summary>
    /// <returns>The median of the milliseconds until then, and how many events came per second.</returns>
    public async Task<(double Milliseconds, double Events)> FanOutAsync(int watchers, int rounds)
    {
        const int PerStream = 50;
        var streams = Enumerable.Range(0, watchers / PerStream)
            .Select(i => new Watch.WatchClient(_channels[i % Connections]).Watch()).ToList();
        try
        {
            await Task.WhenAll(streams.Select(s => CreateAsync(s, PerStream)));
            var times = new List<double>();
            var start = Stopwatch.GetTimestamp();
            for (var round = 0; round < rounds; round++)
            {
                var seen = Task.WhenAll(streams.Select(s => ReadAsync(s, PerStream)));
                var sent = Stopwatch.GetTimestamp();
                await ClientOf(0).PutAsync(new PutRequest { Key = Key(0), Value = Value });
                await seen;
                times.Add(Stopwatch.GetElapsedTime(sent).TotalMilliseconds);
            }

            times.Sort();
            return (times[rounds / 2], watchers * rounds / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        finally
        {
            streams.ForEach(s => s.Dispose());
        }
    }

    public void Dispose()
    {
        foreach (var channel in _channels)
        {
            channel.Dispose();
        }
    }

    private static async Task<Rate> RateAsync(int inFlight, TimeSpan duration, int weight, Func<int, Task> call)
    {
        var calls = 0L;
        var cpu = Environment.CpuUsage.TotalTime;
        var start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, inFlight).Select(i => Task.Run(async () =>
        {
            while (Stopwatch.GetElapsedTime(start) < duration)
            {
                await call(i);
                Interlocked.Increment(ref calls);
            }
        })));
        var done = (double)calls * weight;
        return new Rate(done / Stopwatch.GetElapsedTime(start).TotalSeconds, done / (Environment.CpuUsage.TotalTime - cpu).TotalSeconds);
    }

    private static async Task CreateAsync(AsyncDuplexStreamingCall<WatchRequest, WatchResponse> stream, int count)
    {
        for (var i = 0; i < count; i++)
        {
            await stream.RequestStream.WriteAsync(new WatchRequest { CreateRequest = new WatchCreateRequest { Key = Key(0) } });
        }

        for (var i = 0; i < count; i++)
        {
            await stream.ResponseStream.MoveNext(CancellationToken.None);
        }
    }

    private static async Task ReadAsync(AsyncDuplexStreamingCall<WatchRequest, WatchResponse> stream, int count)
    {
        for (var seen = 0; seen < count;)
        {
            await stream.ResponseStream.MoveNext(CancellationToken.None);
            seen += stream.ResponseStream.Current.Events.Count;
        }
    }

    private static TxnRequest Puts(int first, int count, int keys)
    {
        var request = new TxnRequest();
        for (var i = first; i < first + count; i++)
        {
            request.Success.Add(new RequestOp { RequestPut = new PutRequest { Key = Key(i % keys), Value = Value } });
        }

        return request;
    }

    private static ByteString Key(int index) => ByteString.CopyFromUtf8(string.Create(CultureInfo.InvariantCulture, $"bench/{index:00000}"));

    private KV.KVClient ClientOf(int worker) => _keyValues[worker % Connections];
}

/// <summary>How much was done.</summary>
/// <param name="PerSecond">By the clock.</param>
/// <param name="PerCpuSecond">By the time that this process worked, which other processes on the machine do not change.</param>
internal sealed record Rate(double PerSecond, double PerCpuSecond);
