using System.Buffers.Binary;
using Google.Protobuf;
using Helloworld;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http.Resilience;

namespace Examples.Tests;

/// <summary>The resilience handler of Greeter.WebApi.</summary>
public sealed class ResilienceTests
{
    [Fact]
    public async Task A_call_whose_stream_is_reset_is_made_again()
    {
        var calls = 0;
        await using var server = await BackendServer.StartAsync(
            context =>
            {
                if (Interlocked.Increment(ref calls) > 1)
                {
                    return AnswerAsync(context.Response, new HelloReply { Message = "Hello again" });
                }

                context.Abort();
                return Task.CompletedTask;
            },
            HttpProtocols.Http2);
        await using var application = new WebApplicationFactory<Program>().WithWebHostBuilder(host =>
        {
            host.UseSetting("Etcd:Discovery:Services:greeter:Instances", server.Address);
            host.ConfigureTestServices(services =>
                services.ConfigureAll<HttpStandardResilienceOptions>(o => o.Retry.Delay = TimeSpan.FromMilliseconds(1)));
        });
        using var client = application.CreateClient();

        Assert.Equal("Hello again", await client.GetStringAsync("/greet/you"));
        Assert.Equal(2, calls);
    }

    private static async Task AnswerAsync(HttpResponse response, HelloReply message)
    {
        var frame = new byte[5 + message.CalculateSize()];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), message.CalculateSize());
        message.WriteTo(frame.AsSpan(5));
        response.ContentType = "application/grpc";
        await response.Body.WriteAsync(frame);
        response.AppendTrailer("grpc-status", "0");
    }
}
