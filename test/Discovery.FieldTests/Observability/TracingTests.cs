using System.Collections.Concurrent;
using System.Diagnostics;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Helloworld;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http.Resilience;

namespace Discovery.FieldTests.Observability;

/// <summary>The traces of calls: one activity an attempt, with the instance, between the caller's activity and the one of HTTP.</summary>
[Collection(nameof(Alone))]
public sealed class TracingTests
{
    private const string Ours = "Discovery.AspNetCore";
    private const string Http = "System.Net.Http";
    private const string HttpName = "System.Net.Http.HttpRequestOut";

    [Fact]
    public async Task An_attempt_stands_between_the_caller_and_HTTP_and_the_server_below_both()
    {
        await using var field = await Field.StartAsync();
        var parents = new ConcurrentQueue<string>();
        var server = await field.StartServerAsync(context => AnswerAsync(context, parents), metadata: "\"id\":\"a\"");
        using var client = field.Client(static o => o.Policy = "RoundRobin");
        using var recorder = new ActivityRecorder(Ours, Http);

        using (var call = ActivityRecorder.Start(kind: ActivityKind.Client))
        {
            await client.GetStringAsync("x");

            var attempt = recorder.Of(call, "discovery.attempt").Single();
            var http = recorder.Of(call, HttpName).Single();
            Assert.Equal((call.SpanId, attempt.SpanId), (attempt.ParentSpanId, http.ParentSpanId));
            Assert.Equal(http.Id, parents.Single());
            Assert.Equal("a", attempt.GetTagItem("discovery.instance"));
            Assert.Equal(("svc", "RoundRobin", 1), (attempt.GetTagItem("discovery.service"), attempt.GetTagItem("discovery.policy"), attempt.GetTagItem("discovery.attempt")));
            Assert.Equal(server.Address, $"{attempt.GetTagItem("server.address")}:{attempt.GetTagItem("server.port")}");
            Assert.Equal(200, attempt.GetTagItem("http.response.status_code"));
            Assert.Equal(ActivityStatusCode.Unset, attempt.Status);
            Assert.Equal("a", call.GetTagItem("discovery.instance"));
            Assert.Same(call, Activity.Current);
        }
    }

    [Theory]
    [InlineData(Http)]
    [InlineData(Ours, Http)]
    public async Task After_a_failed_connect_the_server_stands_below_the_attempt_that_reached_it(params string[] sources)
    {
        await using var field = await Field.StartAsync();
        var parents = new ConcurrentQueue<string>();
        await field.StartServerAsync(context => AnswerAsync(context, parents));
        await field.RegisterAsync(Field.DeadAddress(1), "\"id\":\"dead\"");
        using var client = field.Client(static o => (o.Policy, o.Ejection.Enabled) = ("RoundRobin", false));
        using var recorder = new ActivityRecorder(sources);
        for (var i = 0; i < 4; i++)
        {
            using var call = ActivityRecorder.Start();
            parents.Clear();
            await client.GetStringAsync("x");

            var inner = recorder.Of(call, HttpName);
            Assert.Equal(inner[^1].Id, parents.Single());
            if (!sources.Contains(Ours) || inner.Count < 2)
            {
                continue;
            }

            var attempts = recorder.Of(call, "discovery.attempt");
            Assert.Equal([1, 2], attempts.Select(static a => a.GetTagItem("discovery.attempt")));
            Assert.Equal(("dead", "connection_refused", ActivityStatusCode.Error), (attempts[0].GetTagItem("discovery.instance"), attempts[0].GetTagItem("error.type"), attempts[0].Status));
            Assert.Contains(Field.DeadAddress(1), attempts[0].StatusDescription, StringComparison.Ordinal);
            Assert.Equal(ActivityStatusCode.Unset, attempts[1].Status);
            Assert.All(attempts, a => Assert.Equal(call.SpanId, a.ParentSpanId));
        }
    }

    [Theory]
    [InlineData(Ours, Http)]
    [InlineData(Http)]
    public async Task A_retry_of_the_resilience_handler_has_an_attempt_of_its_own(params string[] sources)
    {
        await using var field = await Field.StartAsync();
        var parents = new ConcurrentQueue<string>();
        for (var i = 0; i < 2; i++)
        {
            await field.StartServerAsync(async context =>
            {
                await AnswerAsync(context, parents, parents.IsEmpty ? 503 : 200);
            });
        }

        using var client = field.Client(
            static o => o.Ejection.Enabled = false,
            static b => b.AddStandardResilienceHandler(static o =>
            {
                o.Retry.MaxRetryAttempts = 1;
                o.Retry.Delay = TimeSpan.FromMilliseconds(1);
            }));
        using var recorder = new ActivityRecorder(sources);
        using var call = ActivityRecorder.Start();

        await client.GetStringAsync("x");

        Assert.Equal(recorder.Of(call, HttpName).Select(static a => a.Id), parents);
        if (sources.Contains(Ours))
        {
            var attempts = recorder.Of(call, "discovery.attempt");
            Assert.Equal(["503", null], attempts.Select(static a => a.GetTagItem("error.type")));
            Assert.Equal(("503 Service Unavailable", ActivityStatusCode.Error), (attempts[0].StatusDescription, attempts[0].Status));
            Assert.Equal([1, 2], attempts.Select(static a => a.GetTagItem("discovery.attempt")));
            Assert.Equal(attempts.Select(static a => a.SpanId), recorder.Of(call, HttpName).Select(static a => a.ParentSpanId));
        }
    }

    [Fact]
    public async Task A_retry_of_grpc_has_an_attempt_of_its_own()
    {
        await using var field = await Field.StartAsync();
        var parents = new ConcurrentQueue<string>();
        for (var i = 0; i < 2; i++)
        {
            await field.StartServerAsync(
                context =>
                {
                    var isFirst = parents.IsEmpty;
                    parents.Enqueue(context.Request.Headers.TraceParent.ToString());
                    if (isFirst)
                    {
                        context.Response.ContentType = "application/grpc";
                        context.Response.Headers["grpc-status"] = "14";
                        context.Response.Headers["grpc-message"] = "too%20busy";
                        return Task.CompletedTask;
                    }

                    return GrpcAnswer.SendAsync(context, "hello");
                },
                HttpProtocols.Http2);
        }

        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service).ConfigureChannel(static o => o.ServiceConfig = GrpcRetries.Of(attempts: 3)));
        var client = services.GetRequiredService<Greeter.GreeterClient>();
        using var recorder = new ActivityRecorder(Ours, Http, "Grpc.Net.Client");
        using var call = ActivityRecorder.Start();

        await client.SayHelloAsync(new HelloRequest());

        await Eventually.IsTrue(() => recorder.Of(call, "Grpc.Net.Client.GrpcOut").Count == 2);
        var grpc = recorder.Of(call, "Grpc.Net.Client.GrpcOut");
        var attempts = recorder.Of(call, "discovery.attempt");
        Assert.Equal([1, 2], attempts.Select(static a => a.GetTagItem("discovery.attempt")));
        Assert.Equal(["UNAVAILABLE", null], attempts.Select(static a => a.GetTagItem("error.type")));
        Assert.Equal("too busy", attempts[0].StatusDescription);
        Assert.Equal(grpc.Select(static a => a.SpanId), attempts.Select(static a => a.ParentSpanId));
        Assert.Equal(attempts.Select(static a => a.SpanId), recorder.Of(call, HttpName).Select(static a => a.ParentSpanId));
        Assert.Equal(recorder.Of(call, HttpName).Select(static a => a.Id), parents);
    }

    [Fact]
    public async Task A_trace_context_that_the_application_sets_reaches_the_server_as_it_is()
    {
        const string Own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        await using var field = await Field.StartAsync();
        var parents = new ConcurrentQueue<string>();
        await field.StartServerAsync(context => AnswerAsync(context, parents));
        await field.RegisterAsync(Field.DeadAddress(1));
        using var client = field.Client(static o => (o.Policy, o.Ejection.Enabled) = ("RoundRobin", false));
        using var recorder = new ActivityRecorder(Ours, Http);
        for (var i = 0; i < 4; i++)
        {
            using var call = ActivityRecorder.Start();
            using var request = new HttpRequestMessage(HttpMethod.Get, "x");
            request.Headers.Add("traceparent", Own);
            request.Headers.Add("tracestate", "vendor=1");
            using var response = await client.SendAsync(request);
        }

        Assert.Equal(4, parents.Count);
        Assert.All(parents, static p => Assert.Equal(Own, p));
    }

    [Fact]
    public async Task A_call_that_waits_for_the_first_instance_says_so_and_an_ejection_is_an_event()
    {
        await using var field = await Field.StartAsync();
        using var client = field.Client(static o => o.Ejection.ConsecutiveFailures = 1);
        using var recorder = new ActivityRecorder(Ours);
        using var call = ActivityRecorder.Start();

        var waiting = client.GetAsync("x");
        Assert.False(waiting.IsCompleted);
        await field.StartServerAsync(static c =>
        {
            c.Response.StatusCode = 503;
            c.Response.ContentLength = 0;
            return Task.CompletedTask;
        });
        using var response = await waiting;

        var wait = recorder.Of(call, "discovery.wait").Single();
        var attempt = recorder.Of(call, "discovery.attempt").Single();
        Assert.Equal((call.SpanId, call.SpanId), (wait.ParentSpanId, attempt.ParentSpanId));
        var ejected = attempt.Events.Single();
        Assert.Equal("discovery.ejected", ejected.Name);
        Assert.Contains(ejected.Tags, static t => t.Key == "discovery.ejection.reason" && $"{t.Value}".Contains("failures in a row", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Nobody_listens_and_there_is_no_activity()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync();
        using var client = field.Client();
        using var recorder = new ActivityRecorder();
        using var call = ActivityRecorder.Start();

        await client.GetStringAsync("x");

        Assert.Empty(recorder.Ended);
    }

    [Fact]
    public async Task The_watch_that_a_call_begins_is_not_in_its_trace()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync();
        using var client = field.Client();
        using var recorder = new ActivityRecorder(Ours, "Grpc.Net.Client");
        using var call = ActivityRecorder.Start();

        await client.GetStringAsync("x");

        await Eventually.IsTrue(() => recorder.Ended.Any(static a => a.OperationName == "discovery.list"));
        var list = recorder.Ended.First(static a => a.OperationName == "discovery.list");
        Assert.NotEqual(call.TraceId, list.TraceId);
        Assert.Equal(("svc", "start", 1), (list.GetTagItem("discovery.service"), list.GetTagItem("discovery.list.cause"), list.GetTagItem("discovery.list.records")));
        Assert.Empty(recorder.Of(call, "Grpc.Net.Client.GrpcOut"));
    }

    private static Task AnswerAsync(HttpContext context, ConcurrentQueue<string> parents, int status = 200)
    {
        parents.Enqueue(context.Request.Headers.TraceParent.ToString());
        context.Response.StatusCode = status;
        return context.Response.WriteAsync("x");
    }
}
