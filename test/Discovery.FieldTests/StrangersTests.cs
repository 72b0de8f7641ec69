using System.Net;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Grpc.Net.Client;
using Helloworld;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>Addresses at which somebody else answers, or the right one in the wrong protocol.</summary>
public sealed class StrangersTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(404)]
    public async Task A_server_of_something_else_at_an_address_gets_few_grpc_calls(int httpStatus)
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 2; i++)
        {
            await field.StartServerAsync(
                static async c =>
                {
                    await Task.Delay(20);
                    await GrpcAnswer.SendAsync(c, "hello");
                },
                HttpProtocols.Http2);
        }

        var stranger = await field.StartServerAsync(
            c =>
            {
                c.Response.StatusCode = httpStatus == 0 ? 200 : httpStatus;
                return httpStatus == 0 ? GrpcAnswer.FailAsync(c, (int)StatusCode.Unimplemented) : Task.CompletedTask;
            },
            HttpProtocols.Http2);
        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service));
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        var failed = 0;
        await Parallel.ForEachAsync(Enumerable.Range(0, 1000), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (_, cancellationToken) =>
        {
            try
            {
                await client.SayHelloAsync(new HelloRequest(), cancellationToken: cancellationToken);
            }
            catch (RpcException)
            {
                Interlocked.Increment(ref failed);
            }
        });

        // Five eject it, and those that are under way meanwhile fail too; once more for each time that it is tried again.
        Assert.InRange(failed, 1, 20);
        Assert.Equal(failed, stranger.Requests);
        if (httpStatus == 0)
        {
            await Eventually.IsTrue(async () =>
            {
                await ((Task)client.SayHelloAsync(new HelloRequest()).ResponseAsync).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                return IsEjected(field, stranger);
            });
        }
    }

    [Theory]
    [InlineData(302)]
    [InlineData(400)]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(404)]
    [InlineData(405)]
    [InlineData(410)]
    [InlineData(415)]
    [InlineData(421)]
    [InlineData(426)]
    [InlineData(501)]
    public async Task A_web_server_of_something_else_at_an_address_gets_few_calls(int status)
    {
        await using var field = await Field.StartAsync();
        var servers = new List<BackendServer>();
        for (var i = 0; i < 2; i++)
        {
            servers.Add(await field.StartServerAsync(static async c =>
            {
                await Task.Delay(20);
                await c.Response.WriteAsync("hello");
            }));
        }

        var stranger = await field.StartServerAsync(c =>
        {
            c.Response.StatusCode = status;
            return Task.CompletedTask;
        });
        using var client = field.Client();

        // Before the others have answered for the first time, nothing says that the stranger is wrong.
        while (servers.Exists(static s => s.Requests == 0))
        {
            using var response = await client.GetAsync("orders/0");
        }

        var before = stranger.Requests;
        var failed = 0;
        await Parallel.ForEachAsync(Enumerable.Range(0, 1000), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (i, cancellationToken) =>
        {
            using var response = await client.GetAsync($"orders/{i % 100}", cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                Interlocked.Increment(ref failed);
            }
        });

        // A third would be its share.
        Assert.InRange(failed, 0, 20);
        Assert.Equal(failed, stranger.Requests - before);

        // A failure that is told as one takes LeastLoad away from it before there are five.
        if (status != StatusCodes.Status421MisdirectedRequest)
        {
            await Eventually.IsTrue(async () =>
            {
                using var response = await client.GetAsync("orders/0");
                return IsEjected(field, stranger);
            });
        }
    }

    [Theory]
    [InlineData("RoundRobin", 302)]
    [InlineData("Random", 401)]
    [InlineData("ConsistentHash", 400)]
    [InlineData("ConsistentHash", 404)]
    [InlineData("LeastLoad", 302)]
    [InlineData("LeastLoad", 401)]
    public async Task A_web_server_of_something_else_gets_few_calls_from_the_first_one_on(string policy, int status)
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 2; i++)
        {
            await field.StartServerAsync(static async c =>
            {
                await Task.Delay(20);
                await c.Response.WriteAsync("hello");
            });
        }

        var stranger = await field.StartServerAsync(c =>
        {
            c.Response.StatusCode = status;
            return Task.CompletedTask;
        });
        using var client = field.Client(o => o.Policy = policy);

        await Parallel.ForEachAsync(Enumerable.Range(0, 600), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (i, cancellationToken) =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"orders/{i}");
            if (policy == "ConsistentHash")
            {
                request.Options.Set(EtcdRequestOptions.HashKey, $"{i}");
            }

            using var response = await client.SendAsync(request, cancellationToken);
        });

        Assert.InRange(stranger.Requests, 1, 60);
        Assert.True(policy == "LeastLoad" || IsEjected(field, stranger));
    }

    /// <summary>After a node has gone, whose addresses others got.</summary>
    [Theory]
    [InlineData("RoundRobin", 404, 2)]
    [InlineData("RoundRobin", 302, 2)]
    [InlineData("LeastLoad", 401, 2)]
    [InlineData("LeastLoad", 302, 3)]
    public async Task Several_web_servers_of_something_else_get_few_calls(string policy, int status, int strangers)
    {
        await using var field = await Field.StartAsync();
        var servers = new List<BackendServer>();
        while (servers.Count < 3)
        {
            servers.Add(await field.StartServerAsync(static async c =>
            {
                await Task.Delay(10);
                await c.Response.WriteAsync("hello");
            }));
        }

        for (var i = 0; i < strangers; i++)
        {
            await field.StartServerAsync(c =>
            {
                c.Response.StatusCode = status;
                return Task.CompletedTask;
            });
        }

        using var client = field.Client(o => o.Policy = policy);

        // Before the others have answered for the first time, nothing says that the strangers are wrong.
        while (servers.Exists(static s => s.Requests == 0))
        {
            using var response = await client.GetAsync("orders/0");
        }

        var failed = 0;
        await Parallel.ForEachAsync(Enumerable.Range(0, 1000), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (i, cancellationToken) =>
        {
            using var response = await client.GetAsync($"orders/{i % 100}", cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                Interlocked.Increment(ref failed);
            }
        });

        Assert.InRange(failed, 1, 150);
    }

    /// <summary>A method that is newer than the servers, or an optional one: no other instance serves it either.</summary>
    [Theory]
    [InlineData("in headers")]
    [InlineData("in trailers")]
    [InlineData("501")]
    public async Task A_method_that_nobody_serves_ejects_nobody_while_others_are_served(string answer)
    {
        await using var field = await Field.StartAsync();
        var servers = new List<BackendServer>();
        while (servers.Count < 3)
        {
            servers.Add(await field.StartServerAsync(
                async c =>
                {
                    if (c.Request.Path == "/greeter/old")
                    {
                        await GrpcAnswer.SendAsync(c, "hello");
                    }
                    else if (answer == "501")
                    {
                        c.Response.StatusCode = StatusCodes.Status501NotImplemented;
                    }
                    else if (answer == "in headers")
                    {
                        await GrpcAnswer.FailAsync(c, (int)StatusCode.Unimplemented);
                    }
                    else
                    {
                        c.Response.ContentType = "application/grpc";
                        await c.Response.Body.FlushAsync();
                        c.Response.AppendTrailer("grpc-status", "12");
                    }
                },
                HttpProtocols.Http2));
        }

        using var client = field.Client(static o => o.Policy = "RoundRobin");
        for (var i = 0; i < 600; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, i % 20 == 0 ? "greeter/old" : "greeter/new")
            {
                Version = HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                Content = new ByteArrayContent(new byte[5]),
            };
            if (answer != "501")
            {
                request.Content.Headers.TryAddWithoutValidation("Content-Type", "application/grpc");
            }

            using var response = await client.SendAsync(request);
        }

        Assert.All(servers, static s => Assert.InRange(s.Requests, 190, 210));
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("LeastLoad", 302)]
    [InlineData("LeastLoad", 401)]
    [InlineData("RoundRobin", 401)]
    public async Task Where_all_redirect_or_deny_most_calls_nobody_is_a_stranger(string policy, int status)
    {
        await using var field = await Field.StartAsync();
        var servers = new List<BackendServer>();
        for (var i = 0; i < 3; i++)
        {
            servers.Add(await field.StartServerAsync(
                c =>
                {
                    c.Response.StatusCode = c.Request.Query.ContainsKey("token") ? 200 : status;
                    return Task.CompletedTask;
                },
                metadata: $"\"weight\":\"{(i == 0 ? 40 : 10)}\""));
        }

        using var client = field.Client(o => o.Policy = policy);
        for (var i = 0; i < 300; i++)
        {
            using var response = await client.GetAsync(i % 10 == 9 ? "orders?token=x" : "orders");
        }

        Assert.All(servers, static s => Assert.InRange(s.Requests, 20, 250));
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    /// <summary>One that is not ready for any call, for example, or whose own calls are cancelled. It answers quickest.</summary>
    [Theory]
    [InlineData("LeastLoad", StatusCode.FailedPrecondition, 1, 60)]
    [InlineData("LeastLoad", StatusCode.Cancelled, 1, 60)]
    [InlineData("RoundRobin", StatusCode.FailedPrecondition, 200, 200)]
    public async Task A_server_that_blames_the_caller_for_every_grpc_call_attracts_none_and_is_not_ejected(
        string policy, StatusCode status, int least, int most)
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 2; i++)
        {
            await field.StartServerAsync(
                static async c =>
                {
                    await Task.Delay(20);
                    await GrpcAnswer.SendAsync(c, "hello");
                },
                HttpProtocols.Http2);
        }

        var other = await field.StartServerAsync(c => GrpcAnswer.FailAsync(c, (int)status), HttpProtocols.Http2);
        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service), o => o.Policy = policy);
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        await Parallel.ForEachAsync(Enumerable.Range(0, 600), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (_, cancellationToken) =>
        {
            try
            {
                await client.SayHelloAsync(new HelloRequest(), cancellationToken: cancellationToken);
            }
            catch (RpcException)
            {
                // Of the one.
            }
        });

        Assert.InRange(other.Requests, least, most);
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("RoundRobin", true)]
    [InlineData("RoundRobin", false)]
    [InlineData("LeastLoad", true)]
    [InlineData("LeastLoad", false)]
    public async Task An_application_with_a_rest_and_a_grpc_port_gets_the_right_calls_at_each(string policy, bool areProtocolsKnown)
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 3; i++)
        {
            await field.StartServerAsync(static c => c.Response.WriteAsync("rest"), metadata: areProtocolsKnown ? "\"protocols\":\"h1\"" : "");
            await field.StartServerAsync(
                static c => GrpcAnswer.SendAsync(c, "grpc"), HttpProtocols.Http2, metadata: areProtocolsKnown ? "\"protocols\":\"h2\"" : "");
        }

        var services = field.Application(
            static s =>
            {
                s.AddHttpClient("client").AddEtcdDiscovery(Field.Service);
                s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service);
            },
            o => o.Policy = policy);
        using var http = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        var grpc = services.GetRequiredService<Greeter.GreeterClient>();
        var failed = 0;
        for (var i = 0; i < 300; i++)
        {
            using var response = await http.GetAsync("x");
            failed += response.StatusCode == HttpStatusCode.OK ? 0 : 1;
            try
            {
                await grpc.SayHelloAsync(new HelloRequest());
            }
            catch (RpcException)
            {
                failed++;
            }
        }

        Assert.InRange(failed, 0, areProtocolsKnown ? 0 : 12);
    }

    /// <summary>A worker that asks for jobs of which there are none, or a caller whose token has expired, while calls at the other port are served.</summary>
    [Theory]
    [InlineData("404", true)]
    [InlineData("404", false)]
    [InlineData("401", true)]
    [InlineData("UNIMPLEMENTED", true)]
    [InlineData("UNIMPLEMENTED", false)]
    public async Task What_one_port_of_an_application_refuses_is_not_compared_with_what_its_other_port_serves(string refusal, bool areProtocolsKnown)
    {
        await using var field = await Field.StartAsync();
        var isGrpc = refusal == "UNIMPLEMENTED";
        for (var i = 0; i < 3; i++)
        {
            await field.StartServerAsync(
                c =>
                {
                    c.Response.StatusCode = isGrpc ? 200 : int.Parse(refusal, System.Globalization.CultureInfo.InvariantCulture);
                    return Task.CompletedTask;
                },
                metadata: areProtocolsKnown ? "\"protocols\":\"h1\"" : "");
            await field.StartServerAsync(
                c => isGrpc ? GrpcAnswer.FailAsync(c, (int)StatusCode.Unimplemented) : GrpcAnswer.SendAsync(c, "grpc"),
                HttpProtocols.Http2,
                metadata: areProtocolsKnown ? "\"protocols\":\"h2\"" : "");
        }

        var services = field.Application(
            static s =>
            {
                s.AddHttpClient("client").AddEtcdDiscovery(Field.Service);
                s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service);
            },
            static o => o.Policy = "RoundRobin");
        using var http = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        var grpc = services.GetRequiredService<Greeter.GreeterClient>();

        // Called in turn by both, each port might happen to get its own calls alone, and what it does not speak would never be learnt.
        for (var i = 0; i < 6; i++)
        {
            using var response = await http.GetAsync("jobs/next");
        }

        for (var i = 0; i < 120; i++)
        {
            using var response = await http.GetAsync("jobs/next");
            try
            {
                await grpc.SayHelloAsync(new HelloRequest());
            }
            catch (RpcException)
            {
                // As the port answers.
            }
        }

        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("failing", StringComparison.Ordinal));
    }

    private static bool IsEjected(Field field, BackendServer server)
        => field.Log.Lines.Any(l => l.Contains("are ejected", StringComparison.Ordinal) && l.Contains($"{server.Address} for ", StringComparison.Ordinal));
}
