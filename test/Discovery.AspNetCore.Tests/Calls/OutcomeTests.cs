using System.Net;
using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Pools;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Tests.Calls;

public sealed class OutcomeTests
{
    [Theory]
    [InlineData(404, null)]
    [InlineData(400, null)]
    [InlineData(200, "text/html")]
    [InlineData(200, null)]
    [InlineData(501, null)]
    public async Task An_answer_to_a_grpc_call_that_is_not_grpc_ejects_whoever_gave_it(int status, string? type)
    {
        await using var harness = new Harness(o => o.Ejection.Enabled = true);
        await harness.StartServerAsync(GrpcAsync(), HttpProtocols.Http2);
        var stranger = await harness.StartServerAsync(
            c =>
            {
                c.Response.StatusCode = status;
                c.Response.ContentType = type;
                return Task.CompletedTask;
            },
            HttpProtocols.Http2);
        using var client = harness.Client(HttpVersion.Version20);

        await client.SendAsync(Grpc());
        await CallUntilEjectedAsync(harness, client, stranger);

        Assert.Equal(5, stranger.Requests);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(8)]
    [InlineData(3)]
    [InlineData(12)]
    public async Task A_status_that_every_server_gives_ejects_nobody(int status)
    {
        await using var harness = new Harness(o => o.Ejection.Enabled = true);
        var servers = new[] { await harness.StartServerAsync(GrpcAsync(status), HttpProtocols.Http2), await harness.StartServerAsync(GrpcAsync(status), HttpProtocols.Http2) };
        using var client = harness.Client(HttpVersion.Version20);

        for (var i = 0; i < 40; i++)
        {
            using var response = await client.SendAsync(Grpc());
        }

        Assert.All(servers, s => Assert.InRange(s.Requests, 19, 21));
        Assert.All(harness.Pool.Current!.Instances, static i => Assert.False(i.IsEjected));

        // UNKNOWN, an exception, is a failed call of whoever counts them.
        Assert.All(harness.Pool.Current!.Instances, i => Assert.Equal(status == 2, i.FailureRate > 0));
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    public async Task A_server_that_wants_authentication_is_no_stranger(int status)
    {
        await using var harness = new Harness(o => o.Ejection.Enabled = true);
        await harness.StartServerAsync(
            c =>
            {
                c.Response.StatusCode = status;
                return Task.CompletedTask;
            },
            HttpProtocols.Http2);
        using var client = harness.Client(HttpVersion.Version20);

        using var response = await client.SendAsync(Grpc());

        Assert.Equal(0, harness.Pool.Current!.Instances[0].FailureRate);
    }

    [Theory]
    [InlineData("RoundRobin")]
    [InlineData("PickFirst")]
    [InlineData("Random")]
    [InlineData("ConsistentHash")]
    [InlineData("LeastLoad")]
    public async Task An_instance_that_hangs_is_ejected_when_deadlines_pass(string policy)
    {
        await using var harness = new Harness(o =>
        {
            o.Ejection.Enabled = true;
            o.Policy = policy;
        });
        var hung = await harness.StartServerAsync(static c => Task.Delay(Timeout.Infinite, c.RequestAborted), HttpProtocols.Http2);
        var works = await harness.StartServerAsync(GrpcAsync(), HttpProtocols.Http2);
        harness.Register(hung.Address, key: "0");
        using var client = harness.Client(HttpVersion.Version20);

        // The first answer, which comes with the connection, may take longer than the deadlines.
        using (var first = Grpc())
        {
            first.Options.Set(EtcdRequestOptions.Instance, works.Address);
            using var response = await client.SendAsync(first);
        }

        var failed = 0;
        for (var i = 0; i < 60 && failed < 15; i++)
        {
            using var deadline = new CancellationTokenSource(100);
            using var request = Grpc();
            request.Headers.Add("grpc-timeout", "100m");
            request.Headers.Add("discovery-hash-key", "k");
            try
            {
                using var response = await client.SendAsync(request, deadline.Token);
            }
            catch (OperationCanceledException)
            {
                failed++;
            }
        }

        // Five in a row are ejected for; of a busy machine an answer or two may be late too. Without ejection PickFirst fails each call.
        Assert.InRange(failed, 0, 11);
        Assert.True(works.Requests > 40);
    }

    [Fact]
    public async Task A_caller_that_gives_up_before_its_deadline_ejects_nobody()
    {
        await using var harness = new Harness(o => o.Ejection.Enabled = true);
        await harness.StartServerAsync(static c => Task.Delay(Timeout.Infinite, c.RequestAborted), HttpProtocols.Http2);
        await harness.StartServerAsync(static c => Task.Delay(Timeout.Infinite, c.RequestAborted), HttpProtocols.Http2);
        using var client = harness.Client(HttpVersion.Version20);
        for (var i = 0; i < 24; i++)
        {
            using var gaveUp = new CancellationTokenSource(20);
            using var request = Grpc();
            request.Headers.Add("grpc-timeout", "10S");
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.SendAsync(request, gaveUp.Token));
        }

        Assert.All(harness.Pool.Current!.Instances, i => Assert.False(i.IsEjected));
    }

    [Fact]
    public async Task A_timeout_of_the_client_ejects_an_instance_that_hangs()
    {
        await using var harness = new Harness(o =>
        {
            o.Ejection.Enabled = true;
            o.Policy = "PickFirst";
        });
        var hung = await harness.StartServerAsync(static c => Task.Delay(Timeout.Infinite, c.RequestAborted));
        var works = await harness.StartServerAsync();
        harness.Register(hung.Address, key: "0");
        using var client = harness.Client();
        client.Timeout = TimeSpan.FromMilliseconds(150);
        var failed = 0;
        while (works.Requests == 0 && failed < 15)
        {
            try
            {
                using var response = await client.GetAsync("x");
            }
            catch (OperationCanceledException)
            {
                failed++;
            }
        }

        Assert.InRange(failed, 0, 8);
    }

    [Fact]
    public async Task A_callers_own_cancellations_eject_nobody_however_late()
    {
        await using var harness = new Harness(o => o.Ejection.Enabled = true);
        var isQuick = true;
        var servers = new List<BackendServer>();
        for (var i = 0; i < 2; i++)
        {
            servers.Add(await harness.StartServerAsync(c => isQuick ? Task.CompletedTask : Task.Delay(Timeout.Infinite, c.RequestAborted)));
        }

        using var client = harness.Client();
        for (var i = 0; i < 20; i++)
        {
            using var response = await client.GetAsync("x");
        }

        isQuick = false;
        for (var i = 0; i < 14; i++)
        {
            using var gaveUp = new CancellationTokenSource();
            var call = client.GetAsync("x", gaveUp.Token);
            await Eventually.IsTrue(() => servers.Sum(static s => s.Requests) == 21 + i);
            gaveUp.CancelAfter(200);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        }

        Assert.All(servers, static s => Assert.InRange(s.Requests, 16, 18));
        Assert.All(harness.Pool.Current!.Instances, static i => Assert.False(i.IsEjected));
    }

    [Fact]
    public async Task A_timeout_of_the_client_counts_beside_a_callers_token_and_after_quick_answers()
    {
        await using var harness = new Harness(o => (o.Ejection.Enabled, o.Policy) = (true, "RoundRobin"));
        var hung = await harness.StartServerAsync(static c => Task.Delay(Timeout.Infinite, c.RequestAborted));
        await harness.StartServerAsync();
        using var client = harness.Client();
        client.Timeout = TimeSpan.FromMilliseconds(200);
        using var never = new CancellationTokenSource();

        // Five in a row, and perhaps one before them whose time passed while it was connected for.
        await Eventually.IsTrue(async () =>
        {
            try
            {
                using var response = await client.GetAsync("x", never.Token);
            }
            catch (OperationCanceledException)
            {
                Assert.False(never.IsCancellationRequested);
            }

            return harness.Pool.Current!.Instances.Single(i => i.Record.Address == hung.Address).IsEjected;
        });
    }

    [Fact]
    public void A_timeout_is_told_from_a_callers_cancellation()
    {
        using var caller = new CancellationTokenSource();
        using var pending = new CancellationTokenSource();
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(caller.Token, pending.Token);
        using var alone = CancellationTokenSource.CreateLinkedTokenSource(pending.Token);
        linked.Cancel();
        alone.Cancel();

        Assert.True(CancellationOrigin.IsOwnTimer(linked.Token));
        Assert.True(CancellationOrigin.IsOwnTimer(alone.Token));
        caller.Cancel();
        Assert.False(CancellationOrigin.IsOwnTimer(linked.Token));
        Assert.Null(CancellationOrigin.IsOwnTimer(caller.Token));
        Assert.Null(CancellationOrigin.IsOwnTimer(CancellationToken.None));
        pending.Cancel();
        Assert.False(CancellationOrigin.IsOwnTimer(alone.Token));
    }

    [Theory]
    [InlineData(404)]
    [InlineData(501)]
    public async Task A_web_server_of_something_else_is_ejected_when_others_serve_what_it_does_not(int status)
    {
        await using var harness = new Harness(o => o.Ejection.Enabled = true);
        await harness.StartServerAsync();
        await harness.StartServerAsync();
        var stranger = await harness.StartServerAsync(c =>
        {
            c.Response.StatusCode = status;
            return Task.CompletedTask;
        });
        using var client = harness.Client();
        await client.GetAsync("x");
        var instance = harness.Pool.Current!.Instances.Single(i => i.Record.Address == stranger.Address);
        for (var i = 0; i < 60 && !instance.IsEjected; i++)
        {
            using var response = await client.GetAsync("x");
        }

        Assert.Equal(5, stranger.Requests);
    }

    [Theory]
    [InlineData("RoundRobin", false)]
    [InlineData("PickFirst", false)]
    [InlineData("ConsistentHash", true)]
    public async Task What_does_not_exist_ejects_nobody(string policy, bool hasKeys)
    {
        await using var harness = new Harness(o => (o.Ejection.Enabled, o.Policy) = (true, policy));
        for (var i = 0; i < 3; i++)
        {
            await harness.StartServerAsync(static c =>
            {
                c.Response.StatusCode = c.Request.Path == "/there" ? 200 : 404;
                return Task.CompletedTask;
            });
        }

        using var client = harness.Client();
        for (var i = 0; i < 120; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, i % 3 == 0 ? "there" : $"missing/{(hasKeys ? 0 : i)}");
            if (hasKeys)
            {
                request.Options.Set(EtcdRequestOptions.HashKey, request.RequestUri!.OriginalString);
            }

            using var response = await client.SendAsync(request);
        }

        Assert.All(harness.Pool.Current!.Instances, static i => Assert.False(i.Health.EjectedUntil > 0));
    }

    [Theory]
    [InlineData(404)]
    [InlineData(421)]
    [InlineData(501)]
    public async Task A_stranger_at_the_address_of_an_instance_that_vanished_is_called_once(int status)
    {
        var isStranger = false;
        await using var harness = new Harness(o => o.Policy = "RoundRobin");
        var servers = new List<BackendServer>();
        for (var i = 0; i < 3; i++)
        {
            var isFirst = i == 0;
            servers.Add(await harness.StartServerAsync(c =>
            {
                c.Response.StatusCode = isFirst && isStranger ? status : 200;
                return Task.CompletedTask;
            }));
        }

        using var client = harness.Client();
        await client.GetAsync("x");
        isStranger = true;
        harness.Etcd.Delete([.. servers.Select(static s => $"services/svc/{s.Address}")]);
        await Eventually.IsTrue(() => harness.Pool.Current!.Snapshot.HeldAddresses.Count == 3);

        var refused = 0;
        for (var i = 0; i < 30; i++)
        {
            using var response = await client.GetAsync("x");
            refused += response.IsSuccessStatusCode ? 0 : 1;
            await Eventually.IsTrue(() => refused == 0 || harness.Pool.Current!.Instances.Count == 2);
        }

        Assert.Equal(1, refused);

        isStranger = false;
        harness.Register(servers[0].Address);
        await Eventually.IsTrue(() => harness.Pool.Current!.Instances.Any(e => e.Record.Address == servers[0].Address));
    }

    [Theory]
    [InlineData("12", null, 200)]
    [InlineData(null, "text/html", 200)]
    [InlineData(null, null, 400)]
    public async Task A_stranger_at_the_address_of_a_grpc_instance_that_vanished_is_called_once(string? grpcStatus, string? type, int status)
    {
        var isStranger = false;
        await using var harness = new Harness(static o => o.Policy = "RoundRobin");
        var serve = GrpcAsync();
        for (var i = 0; i < 3; i++)
        {
            var isFirst = i == 0;
            await harness.StartServerAsync(
                c =>
                {
                    if (!isFirst || !isStranger)
                    {
                        return serve(c);
                    }

                    c.Response.StatusCode = status;
                    c.Response.ContentType = type;
                    return grpcStatus is null ? Task.CompletedTask : GrpcAsync(int.Parse(grpcStatus, System.Globalization.CultureInfo.InvariantCulture))(c);
                },
                HttpProtocols.Http2);
        }

        using var client = harness.Client(HttpVersion.Version20);
        await client.SendAsync(Grpc());
        isStranger = true;
        await HoldAllAsync(harness);

        var refused = 0;
        for (var i = 0; i < 30; i++)
        {
            using var response = await client.SendAsync(Grpc());
            var isServed = response.Headers.TryGetValues("grpc-status", out var values) && values.Single() == "0";
            refused += isServed ? 0 : 1;
            await Eventually.IsTrue(() => refused == 0 || harness.Pool.Current!.Instances.Count == 2);
        }

        Assert.Equal(1, refused);
    }

    [Theory]
    [InlineData(302, true)]
    [InlineData(400, true)]
    [InlineData(401, true)]
    [InlineData(403, true)]
    [InlineData(401, false)]
    public async Task Strangers_that_refuse_everything_at_the_addresses_of_instances_that_vanished_are_given_up(int status, bool areAll)
    {
        var areStrangers = false;
        await using var harness = new Harness();
        for (var i = 0; i < 3; i++)
        {
            var isStranger = areAll || i == 0;
            await harness.StartServerAsync(c =>
            {
                c.Response.StatusCode = isStranger && areStrangers ? status : 200;
                return Task.CompletedTask;
            });
        }

        using var client = harness.Client();
        for (var i = 0; i < 90; i++)
        {
            using var response = await client.GetAsync($"{i}");
        }

        areStrangers = true;
        await HoldAllAsync(harness);
        for (var i = 0; i < 30; i++)
        {
            try
            {
                using var response = await client.GetAsync($"{i}");
            }
            catch (HttpRequestException)
            {
                // There is nobody left.
            }
        }

        await Eventually.IsTrue(() => harness.Pool.Current!.Instances.Count == (areAll ? 0 : 2));
    }

    [Theory]
    [InlineData(302)]
    [InlineData(400)]
    [InlineData(401)]
    public async Task An_instance_that_vanished_and_is_still_there_stays_though_one_caller_is_refused(int status)
    {
        await using var harness = new Harness();
        for (var i = 0; i < 3; i++)
        {
            await harness.StartServerAsync(c =>
            {
                c.Response.StatusCode = c.Request.Headers.Authorization.Count > 0 ? status : 200;
                return Task.CompletedTask;
            });
        }

        using var client = harness.Client();
        for (var i = 0; i < 90; i++)
        {
            using var response = await client.GetAsync($"{i}");
        }

        await HoldAllAsync(harness);
        for (var i = 0; i < 45; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "mine") { Headers = { Authorization = new("Bearer", "expired") } };
            using var response = await client.SendAsync(request);
            Assert.Equal(status, (int)response.StatusCode);
        }

        Assert.All(harness.Pool.Current!.Instances, static i => Assert.False(i.IsGivenUp));
        Assert.Equal(3, harness.Pool.Current!.Instances.Count);
    }

    [Fact]
    public async Task An_instance_that_vanished_and_always_refused_much_stays_though_it_refuses_for_a_while()
    {
        var refuses = false;
        await using var harness = new Harness();
        await harness.StartServerAsync(c =>
        {
            c.Response.StatusCode = refuses || c.Request.Path.Value!.EndsWith('1') ? 401 : 200;
            return Task.CompletedTask;
        });

        using var client = harness.Client();
        for (var i = 0; i < 60; i++)
        {
            using var response = await client.GetAsync($"{i}{i % 2}");
        }

        refuses = true;
        await HoldAllAsync(harness);
        for (var i = 0; i < 15; i++)
        {
            using var response = await client.GetAsync($"{i}");
        }

        Assert.False(Assert.Single(harness.Pool.Current!.Instances).IsGivenUp);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Held_instances_that_refuse_cost_a_call_one_attempt_and_are_left_out(bool withEjection)
    {
        await using var harness = new Harness(o => o.Ejection.Enabled = withEjection);
        string[] stopped = [.. Enumerable.Range(0, 5).Select(static _ => Harness.RefusingAddress())];
        foreach (var address in stopped)
        {
            harness.Register(address);
        }

        var server = await harness.StartServerAsync();
        using var client = harness.Client();
        await harness.Services.GetRequiredService<IServiceDirectory>().WaitForReadyAsync("svc");
        await Eventually.IsTrue(() => harness.Pool.Current is not null);
        harness.Etcd.Delete([.. stopped.Select(static a => $"services/svc/{a}")]);
        await Eventually.IsTrue(() => harness.Pool.Current!.Snapshot.HeldAddresses.Count == 5);

        for (var i = 0; i < 30; i++)
        {
            Assert.Equal(server.Address, await client.GetStringAsync("x"));
        }

        await Eventually.IsTrue(async () =>
        {
            Assert.Equal(server.Address, await client.GetStringAsync("x"));
            return !withEjection || harness.Pool.Current!.Instances.Count == 1;
        });
    }

    [Theory]
    [InlineData("100m", 0.1)]
    [InlineData("5S", 5)]
    [InlineData("2M", 120)]
    [InlineData("1H", 3600)]
    [InlineData("99999999u", 99.999999)]
    public void A_grpc_timeout_is_read(string text, double seconds)
    {
        Assert.True(CallDeadline.TryParse(text, out var limit));
        Assert.Equal(seconds, limit.TotalSeconds, 6);
    }

    [Theory]
    [InlineData("")]
    [InlineData("S")]
    [InlineData("5")]
    [InlineData("5x")]
    [InlineData("-5S")]
    [InlineData("123456789S")]
    public void What_is_no_grpc_timeout_is_none(string text) => Assert.False(CallDeadline.TryParse(text, out _));

    private static RequestDelegate GrpcAsync(int status = 0) => c =>
    {
        c.Response.ContentType = "application/grpc";
        c.Response.Headers["grpc-status"] = status.ToString(System.Globalization.CultureInfo.InvariantCulture);
        return Task.CompletedTask;
    };

    private static HttpRequestMessage Grpc() => new(HttpMethod.Post, "x")
    {
        Version = HttpVersion.Version20,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        Content = new ByteArrayContent(new byte[5]) { Headers = { ContentType = new("application/grpc") } },
    };

    private static async Task HoldAllAsync(Harness harness)
    {
        var addresses = harness.Pool.Current!.Instances.Select(static i => i.Record.Address).ToList();
        harness.Etcd.Delete([.. addresses.Select(static a => $"services/svc/{a}")]);
        await Eventually.IsTrue(() => harness.Pool.Current!.Snapshot.HeldAddresses.Count == addresses.Count);
    }

    private static async Task CallUntilEjectedAsync(Harness harness, HttpClient client, BackendServer server)
    {
        var instance = harness.Pool.Current!.Instances.Single(i => i.Record.Address == server.Address);
        for (var i = 0; i < 40 && !instance.IsEjected; i++)
        {
            using var response = await client.SendAsync(Grpc());
        }

        await Eventually.IsTrue(() => harness.Pool.Current!.For(new CallNeeds("http", InstanceProtocols.Http2, Version: null), hashKey: null)!.InUse.Count == 1);
        for (var i = 0; i < 10; i++)
        {
            using var response = await client.SendAsync(Grpc());
        }
    }
}
