using System.Net;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Http;

namespace Discovery.FieldTests;

/// <summary>HTTP 500: what ASP.NET Core makes of an exception, be it that of one request or that of one server.</summary>
public sealed class ServerErrorsTests
{
    [Fact]
    public async Task A_user_whose_requests_fail_everywhere_ejects_no_server()
    {
        await using var field = await Field.StartAsync();
        await StartServersAsync(field, count: 4);
        using var client = field.Client(static o => o.Policy = "ConsistentHash");

        for (var i = 0; i < 200; i++)
        {
            Assert.Equal(HttpStatusCode.InternalServerError, await CallAsync(client, $"broken/{i % 7}", "bad"));
            Assert.Equal(HttpStatusCode.OK, await CallAsync(client, "x", $"user-{i % 20}"));
            Assert.Equal(HttpStatusCode.InternalServerError, await CallAsync(client, "broken/1", "bad"));
        }

        AssertNobodyIsEjected(field);
    }

    [Theory]
    [InlineData("LeastLoad", false)]
    [InlineData("LeastLoad", true)]
    [InlineData("RoundRobin", false)]
    [InlineData("Random", true)]
    [InlineData("PickFirst", false)]
    public async Task A_route_that_fails_everywhere_beside_one_that_does_not_ejects_no_server(string policy, bool hasIds)
    {
        await using var field = await Field.StartAsync();
        await StartServersAsync(field, count: 3);
        using var client = field.Client(o => o.Policy = policy);
        await CallAsync(client, "x");

        // Two callers beside each other, the one as often as the other.
        await Task.WhenAll(
            Repeat(i => CallAsync(client, hasIds ? $"broken/{i}" : "broken")),
            Repeat(i => CallAsync(client, hasIds ? $"users/{i}" : "x")));

        AssertNobodyIsEjected(field);

        static async Task Repeat(Func<int, Task> call)
        {
            for (var i = 0; i < 300; i++)
            {
                await call(i);
                await Task.Delay(1);
            }
        }
    }

    [Theory]
    [InlineData("RoundRobin", false)]
    [InlineData("RoundRobin", true)]
    [InlineData("Random", false)]
    [InlineData("ConsistentHash", true)]
    public async Task A_server_that_answers_all_with_500_is_ejected_while_others_serve(string policy, bool hasIds)
    {
        await using var field = await Field.StartAsync();
        await StartServersAsync(field, count: 3);
        var broken = await field.StartServerAsync(static c =>
        {
            c.Response.StatusCode = 500;
            return c.Response.WriteAsync("broken");
        });
        using var client = field.Client(o => o.Policy = policy);

        var failed = 0;
        for (var i = 0; i < 200; i++)
        {
            failed += await CallAsync(client, hasIds ? $"users/{i}" : "x", $"user-{i}") == HttpStatusCode.OK ? 0 : 1;
        }

        Assert.Contains(field.Log.Lines, l => l.Contains(broken.Address, StringComparison.Ordinal) && l.Contains("errors in a row (500, INTERNAL or UNKNOWN), and others serve", StringComparison.Ordinal));
        Assert.InRange(failed, 5, 25);
    }

    [Fact]
    public async Task A_server_that_answers_all_with_500_gets_few_calls_by_their_load()
    {
        await using var field = await Field.StartAsync();
        await StartServersAsync(field, count: 3);
        var broken = await field.StartServerAsync(static c =>
        {
            c.Response.StatusCode = 500;
            return Task.CompletedTask;
        });
        using var client = field.Client(static o => (o.Policy, o.Ejection.Enabled) = ("LeastLoad", false));

        for (var i = 0; i < 400; i++)
        {
            await CallAsync(client, "x");
        }

        Assert.InRange(broken.Requests, 1, 20);
    }

    private static async Task StartServersAsync(Field field, int count)
    {
        for (var i = 0; i < count; i++)
        {
            await field.StartServerAsync(static c =>
            {
                c.Response.StatusCode = c.Request.Path.StartsWithSegments("/broken", StringComparison.Ordinal) ? 500 : 200;
                return Task.CompletedTask;
            });
        }
    }

    private static void AssertNobodyIsEjected(Field field)
        => Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("eject", StringComparison.Ordinal));

    private static async Task<HttpStatusCode> CallAsync(HttpClient client, string path, string? key = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (key is not null)
        {
            request.Options.Set(EtcdRequestOptions.HashKey, key);
        }

        using var response = await client.SendAsync(request);
        return response.StatusCode;
    }
}
