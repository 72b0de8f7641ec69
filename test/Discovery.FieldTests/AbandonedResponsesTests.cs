using System.Net;
using System.Runtime.CompilerServices;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Http;

namespace Discovery.FieldTests;

/// <summary>Responses that nobody disposes.</summary>
public sealed class AbandonedResponsesTests
{
    [Fact]
    public async Task An_instance_whose_responses_are_not_disposed_is_called_again_after_they_are_collected()
    {
        await using var field = await Field.StartAsync();
        var first = await field.StartServerAsync(AnswerAsync);
        using var client = field.Client();
        await AbandonAsync(client, 100);
        var second = await field.StartServerAsync(AnswerAsync);
        await Eventually.IsTrue(async () =>
        {
            using var response = await client.GetAsync("x");
            return second.Requests > 0;
        });

        // By then 100 calls seem to be under way at the first, which is more than any load.
        await Eventually.IsTrue(async () =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            var before = first.Requests;
            for (var i = 0; i < 20; i++)
            {
                using var response = await client.GetAsync("x");
            }

            return first.Requests - before > 2;
        });
    }

    [Fact]
    public async Task A_body_that_cannot_be_passed_on_does_not_count_against_the_instance()
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync(static c => c.Response.WriteAsync(new string('x', 100_000)));
        using var client = field.Client(o => o.Ejection.ConsecutiveFailures = 1);

        for (var i = 0; i < 5; i++)
        {
            using var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead);
            await Assert.ThrowsAsync<HttpRequestException>(() => response.Content.CopyToAsync(new BrokenStream()));
        }

        Assert.Equal(5, server.Requests);
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task AbandonAsync(HttpClient client, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead);
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        }
    }

    private static Task AnswerAsync(HttpContext context)
    {
        context.Response.StatusCode = 400;
        return context.Response.WriteAsync("what is this?");
    }

    /// <summary>The way to a caller who is gone.</summary>
    private sealed class BrokenStream : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count) => throw new IOException("the caller is gone");

        public override void Write(ReadOnlySpan<byte> buffer) => throw new IOException("the caller is gone");

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => throw new IOException("the caller is gone");

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => throw new IOException("the caller is gone");
    }
}
