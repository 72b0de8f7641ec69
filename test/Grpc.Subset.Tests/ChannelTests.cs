using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Subset.Tests.Interop;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Grpc.Subset.Tests;

public sealed class ChannelTests
{
    [Fact]
    public async Task A_request_has_the_address_of_the_channel_and_the_headers_of_the_protocol()
    {
        using var handler = new StubHandler(() => StubHandler.Grpc());
        using var channel = GrpcChannel.ForAddress("http://greeter:81/ignored?too", new GrpcChannelOptions { HttpHandler = handler });
        var client = new Interop.Interop.InteropClient(channel);
        var headers = new Metadata { { "a", "b" }, { "b-bin", new byte[] { 1 } }, { "grpc-timeout", "1S" } };

        await Failure.OfAsync(() => client.EchoAsync(new Message(), headers, DateTime.UtcNow.AddMinutes(1)).ResponseAsync);

        var request = handler.Request!;
        Assert.Equal("http://greeter:81/interop.v1.Interop/Echo?too", request.RequestUri!.AbsoluteUri);
        Assert.Equal((HttpMethod.Post, HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact), (request.Method, request.Version, request.VersionPolicy));
        Assert.Equal("application/grpc", request.Content!.Headers.ContentType!.ToString());
        Assert.Equal("trailers", request.Headers.TE.ToString());
        Assert.Contains("identity", request.Headers.GetValues("grpc-accept-encoding").Single(), StringComparison.Ordinal);
        Assert.StartsWith("grpc-dotnet/", request.Headers.UserAgent.ToString(), StringComparison.Ordinal);
        Assert.Equal("b", request.Headers.GetValues("a").Single());
        Assert.Equal("AQ==", request.Headers.GetValues("b-bin").Single());
        Assert.Matches("^(59|60)[0-9]{3}m$|^1M$|^60S$", request.Headers.GetValues("grpc-timeout").Single());
    }

    [Fact]
    public void A_channel_knows_its_target()
    {
        using var channel = GrpcChannel.ForAddress("https://greeter:81");

        Assert.Equal("greeter:81", channel.Target);
    }

    [Fact]
    public void Client_and_handler_together_are_refused()
    {
        using var handler = new StubHandler(() => StubHandler.Grpc());
        using var client = new HttpClient(handler);

        var exception = Assert.Throws<ArgumentException>(
            () => GrpcChannel.ForAddress("http://a", new GrpcChannelOptions { HttpClient = client, HttpHandler = handler }));

        Assert.Equal("HttpClient and HttpHandler have been configured. Only one HTTP caller can be specified.", exception.Message);
    }

    [Fact]
    public void A_scheme_that_nobody_resolves_is_refused()
    {
        var exception = Assert.Throws<InvalidOperationException>(() => GrpcChannel.ForAddress("unheard://a"));

        Assert.Equal("No address resolver configured for the scheme 'unheard'.", exception.Message);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_handler_is_disposed_with_the_channel_only_when_told_so(bool dispose)
    {
        using var handler = new StubHandler(() => StubHandler.Grpc());
        var channel = GrpcChannel.ForAddress("http://a", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = dispose });

        channel.Dispose();
        channel.Dispose();

        Assert.Equal(dispose, handler.Disposed);
    }

    [Fact]
    public async Task Shutting_down_does_nothing()
    {
        using var handler = new StubHandler(() => StubHandler.Grpc());
        using var channel = GrpcChannel.ForAddress("http://a", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });

        await channel.ShutdownAsync();

        Assert.False(handler.Disposed);
        channel.CreateCallInvoker();
    }

    [Fact]
    public async Task A_client_may_send_the_calls()
    {
        await using var server = await TestServer.StartAsync();
        using var http = new HttpClient();
        using var channel = GrpcChannel.ForAddress(server.Address, new GrpcChannelOptions { HttpClient = http });
        using var call = new Interop.Interop.InteropClient(channel).Chat();

        await call.RequestStream.WriteAsync(new Message { Text = "there" });

        Assert.True(await call.ResponseStream.MoveNext());
        Assert.Equal("there", call.ResponseStream.Current.Text);
        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_failed_call_is_logged(bool fromServices)
    {
        var log = new ListLoggerProvider();
        await using var services = new ServiceCollection().AddLogging(logging => logging.AddProvider(log)).BuildServiceProvider();
        var options = new GrpcChannelOptions { HttpHandler = new StubHandler(() => throw new IOException("wire")) };
        if (fromServices)
        {
            options.ServiceProvider = services;
        }
        else
        {
            options.LoggerFactory = services.GetRequiredService<ILoggerFactory>();
        }

        using var channel = GrpcChannel.ForAddress("http://a", options);
        await Failure.OfAsync(() => new Interop.Interop.InteropClient(channel).EchoAsync(new Message()).ResponseAsync);

        await Eventually.IsTrue(() => log.Entries.Any(entry => entry is { Level: LogLevel.Information, Category: "Grpc.Net.Client.Internal.GrpcCall" }
            && entry.Text.Contains("Unavailable", StringComparison.Ordinal)));
    }
}
