using System.Collections.Concurrent;
using Discovery.Etcd.Protocol;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tests.Calls;

/// <summary>An etcd that takes its time is not an etcd that is away.</summary>
public sealed class SlowEtcdTests : IAsyncLifetime
{
    private static readonly PutResponse Done = new() { Header = new ResponseHeader { Revision = 3 } };

    // In real time, for a busy machine.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly FakeTimeProvider _clock = new();
    private readonly List<ScriptedServer> _servers = [];
    private readonly List<TcpProxy> _proxies = [];

    private int _begun;

    private int Puts => _servers.Sum(s => s.Calls.Count(c => c == EtcdMethods.Put));

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var proxy in _proxies)
        {
            await proxy.DisposeAsync();
        }

        foreach (var server in _servers)
        {
            await server.DisposeAsync();
        }
    }

    [Theory]
    [InlineData(1, 1200, 5)]
    [InlineData(1, 3000, 5)]
    [InlineData(1, 10_000, 15)]
    [InlineData(3, 1200, 5)]
    [InlineData(3, 3000, 5)]
    [InlineData(3, 10_000, 15)]
    public async Task What_etcd_does_in_time_succeeds_and_is_sent_at_most_twice_over_at_most_two_connections(int members, int latency, int requestTimeout)
    {
        for (var i = 0; i < members; i++)
        {
            await AddAsync(http => AnswerAfterAsync(http, TimeSpan.FromMilliseconds(latency)));
        }

        await using var client = Connect(TimeSpan.FromSeconds(requestTimeout));
        var call = client.PutAsync("a", default);
        await Eventually.IsTrue(() => _begun == 1);
        _clock.Advance(TimeSpan.FromSeconds(1));
        await Eventually.IsTrue(() => _begun == 2);
        _clock.Advance(TimeSpan.FromMilliseconds(latency - 1000));

        Assert.Equal(3, await call.WaitAsync(Patience));
        Console.WriteLine($"etcd of {members} that answers after {latency} ms, for one operation: {Puts} requests, {_proxies.Sum(p => p.Accepted)} connections");
        Assert.Equal(2, Puts);
        Assert.InRange(_proxies.Sum(p => p.Accepted), 1, 2);
    }

    [Fact]
    public async Task An_etcd_that_is_slow_all_the_time_gets_few_second_sends_and_few_connections()
    {
        const int Operations = 30;
        await AddAsync(http => AnswerAfterAsync(http, TimeSpan.FromSeconds(2)));
        await using var client = Connect(TimeSpan.FromMinutes(10));
        for (var i = 0; i < Operations; i++)
        {
            var call = client.PutAsync("a", default);
            await AdvanceUntilAsync(() => call.IsCompleted);
            Assert.Equal(3, await call);
        }

        // Five, and one more for each ten that needed none.
        Assert.InRange(Puts, Operations, Operations + 9);
        Assert.InRange(_proxies[0].Accepted, 1, 2);
    }

    [Fact]
    public async Task However_many_operations_meet_a_member_that_hangs_they_all_go_elsewhere()
    {
        await AddAsync(ScriptedServer.HangAsync);
        await AddAsync(http => ScriptedServer.AnswerAsync(http, Done));
        for (var round = 0; round < 4; round++)
        {
            // Each client starts at a random endpoint.
            await using var client = Connect(TimeSpan.FromMinutes(1));
            var calls = Enumerable.Range(0, 200).Select(_ => client.PutAsync("a", default)).ToList();

            await AdvanceUntilAsync(() => calls.TrueForAll(c => c.IsCompleted));

            Assert.All(await Task.WhenAll(calls), r => Assert.Equal(3, r));
        }
    }

    [Fact]
    public async Task A_connection_that_is_half_open_is_passed_over_and_replaced()
    {
        await AddAsync(http => ScriptedServer.AnswerAsync(http, Done));
        await using var client = Connect(TimeSpan.FromMinutes(10));
        await client.PutAsync("a", default);
        _proxies[0].BlackholeOpenConnections();
        var call = client.PutAsync("a", default);

        await AdvanceUntilAsync(() => call.IsCompleted);

        Assert.Equal(3, await call);
        Assert.Equal(2, _proxies[0].Accepted);
        Assert.Equal(3, await client.PutAsync("a", default).WaitAsync(Patience));
        Assert.Equal(2, _proxies[0].Accepted);
    }

    [Fact]
    public async Task What_was_lost_with_a_leader_is_sent_again_after_the_election()
    {
        var term = 7ul;
        var isElected = false;
        for (var i = 0; i < 2; i++)
        {
            var server = await AddAsync(http => isElected ? ScriptedServer.AnswerAsync(http, Done) : ScriptedServer.HangAsync(http));
            server.On(EtcdMethods.Status, () => new StatusResponse { Header = new ResponseHeader(), RaftTerm = term, Leader = 1 });
        }

        await using var client = Connect(TimeSpan.FromMinutes(10));
        var call = client.PutAsync("a", default);

        // Both are asked and hang; as long as there is no election nothing more is sent.
        await AdvanceUntilAsync(() => _servers.Sum(s => s.Calls.Count(c => c == EtcdMethods.Status)) >= 8);
        Assert.Equal(2, Puts);
        (isElected, term) = (true, 8);
        await AdvanceUntilAsync(() => call.IsCompleted);

        Assert.Equal(3, await call);
        Assert.Equal(3, Puts);
    }

    [Fact]
    public async Task Without_any_answer_the_operation_fails_at_its_limit_and_names_who_was_silent()
    {
        await AddAsync(ScriptedServer.HangAsync);
        await AddAsync(ScriptedServer.HangAsync);
        await using var client = Connect(TimeSpan.FromSeconds(5));
        var call = client.PutAsync("a", default);
        await Eventually.IsTrue(() => Puts == 1);
        _clock.Advance(TimeSpan.FromSeconds(1));
        await Eventually.IsTrue(() => Puts == 2);
        _clock.Advance(TimeSpan.FromSeconds(4));

        var error = await Assert.ThrowsAsync<EtcdException>(() => call);
        Assert.Equal(StatusCode.DeadlineExceeded, error.StatusCode);
        Assert.Equal(2, error.Endpoints.Count);
        Assert.Equal(2, Puts);
    }

    [Fact]
    public async Task An_answer_that_has_begun_is_waited_for_and_not_asked_for_again()
    {
        var rest = new TaskCompletionSource();
        await AddAsync(async http =>
        {
            http.Response.ContentType = GrpcFraming.ContentType;
            await http.Response.Body.FlushAsync();
            Interlocked.Increment(ref _begun);
            await rest.Task;
            await http.Response.Body.WriteAsync(GrpcFraming.Frame(Done));
            http.Response.AppendTrailer("grpc-status", "0");
        });
        await using var client = Connect(TimeSpan.FromMinutes(1));

        var call = client.PutAsync("a", default);
        await Eventually.IsTrue(() => _begun == 1);

        // What comes over the same connection is read after the headers; and it takes the time in which another one would be sent.
        _servers[0].On(EtcdMethods.DeleteRange, () => new DeleteRangeResponse { Header = new ResponseHeader() });
        for (var i = 0; i < 20; i++)
        {
            await client.DeleteAsync("b").WaitAsync(Patience);
            _clock.Advance(TimeSpan.FromSeconds(i < 5 ? 0 : 1));
        }

        rest.SetResult();

        Assert.Equal(3, await call.WaitAsync(Patience));
        Assert.Equal(1, Puts);
    }

    [Fact]
    public async Task A_second_send_is_part_of_what_its_caller_does()
    {
        await AddAsync(ScriptedServer.HangAsync);
        await AddAsync(ScriptedServer.HangAsync);
        var caller = new AsyncLocal<string>();
        using var log = new ContextLog(caller);
        using var loggers = LoggerFactory.Create(b => b.AddProvider(log).SetMinimumLevel(LogLevel.Debug));
        await using var client = Connect(TimeSpan.FromSeconds(5), loggers);
        caller.Value = "me";
        var call = client.PutAsync("a", default);
        await Eventually.IsTrue(() => Puts == 1);
        caller.Value = "somebody else";

        _clock.Advance(TimeSpan.FromSeconds(1));
        await Eventually.IsTrue(() => Puts == 2);
        _clock.Advance(TimeSpan.FromSeconds(4));

        await Assert.ThrowsAsync<EtcdException>(() => call);
        Assert.NotEmpty(log.Callers);
        Assert.All(log.Callers, c => Assert.Equal("me", c));
    }

    private async Task<ScriptedServer> AddAsync(Func<HttpContext, Task> put)
    {
        var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.Put, put);
        _servers.Add(server);
        _proxies.Add(TcpProxy.Start(new Uri(server.Endpoint).Port));
        return server;
    }

    private async Task AnswerAfterAsync(HttpContext http, TimeSpan latency)
    {
        var answer = Task.Delay(latency, _clock, http.RequestAborted);
        Interlocked.Increment(ref _begun);
        await answer;
        await ScriptedServer.AnswerAsync(http, Done);
    }

    // Moves the clock in small steps, with real time in between for what that sets going.
    private Task AdvanceUntilAsync(Func<bool> isDone) => Eventually.IsTrue(() =>
    {
        _clock.Advance(TimeSpan.FromMilliseconds(50));
        return isDone();
    });

    private EtcdClient Connect(TimeSpan requestTimeout, ILoggerFactory? loggers = null) => new(
        new EtcdClientOptions
        {
            Endpoints = [.. _proxies.Select(p => p.Endpoint)],
            AttemptTimeout = TimeSpan.FromSeconds(1),
            RequestTimeout = requestTimeout,
        },
        loggers,
        timeProvider: _clock);

    private sealed class ContextLog(AsyncLocal<string> caller) : ILoggerProvider, ILogger
    {
        private readonly ConcurrentQueue<string?> _callers = new();

        public IReadOnlyCollection<string?> Callers => _callers;

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            _callers.Enqueue(caller.Value);

        public void Dispose()
        {
        }
    }
}
