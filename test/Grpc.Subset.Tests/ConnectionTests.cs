using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Subset.Tests.Interop;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Grpc.Subset.Tests;

public sealed class ConnectionTests
{
    [Fact]
    public async Task Nobody_there_is_unavailable()
    {
        using var channel = GrpcChannel.ForAddress(ClosedAddress());

        var exception = await Failure.OfAsync(() => Call(channel));

        Assert.Equal((StatusCode.Unavailable, "Error connecting to subchannel."), (exception.StatusCode, exception.Status.Detail));
        Assert.IsType<SocketException>(exception.Status.DebugException);
        Assert.Equal(exception.Status.DebugException, exception.InnerException);
    }

    [Fact]
    public async Task Nobody_there_is_unavailable_for_a_handler_that_connects_in_its_own_way()
    {
        var address = ClosedAddress();
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancellationToken) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        using var channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = handler });

        var exception = await Failure.OfAsync(() => Call(channel));

        Assert.Equal(StatusCode.Unavailable, exception.StatusCode);
        Assert.Equal(
            $"Error starting gRPC call. HttpRequestException: Connection refused ({new Uri(address).Authority}) SocketException: Connection refused",
            exception.Status.Detail);
        Assert.IsType<HttpRequestException>(exception.Status.DebugException);
    }

    [Fact]
    public async Task A_call_goes_out_again_once_somebody_is_there()
    {
        await using var server = await TestServer.StartAsync();
        using var channel = GrpcChannel.ForAddress(server.Address, new GrpcChannelOptions { HttpHandler = new OnceFailing() });

        await Failure.OfAsync(() => Call(channel));
        await Call(channel);
    }

    [Fact]
    public async Task A_server_that_speaks_an_older_http_is_an_error()
    {
        await using var server = await TestServer.StartAsync(protocols: HttpProtocols.Http1);

        var exception = await Failure.OfAsync(() => server.Client.EchoAsync(new Message()).ResponseAsync);

        Assert.NotEqual(StatusCode.OK, exception.StatusCode);
        Assert.StartsWith("Error starting gRPC call. HttpRequestException: ", exception.Status.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0x7, StatusCode.Unavailable)]
    [InlineData(0x8, StatusCode.Cancelled)]
    [InlineData(0xb, StatusCode.ResourceExhausted)]
    public async Task A_stream_that_the_server_resets_ends_with_the_status_of_the_code(int errorCode, StatusCode code)
    {
        await using var server = await TestServer.StartAsync(
            map: app => app.Run(context =>
            {
                context.Features.Get<IHttpResetFeature>()!.Reset(errorCode);
                return Task.CompletedTask;
            }));

        var exception = await Failure.OfAsync(() => server.Client.EchoAsync(new Message()).ResponseAsync);

        Assert.Equal(code, exception.StatusCode);
    }

    [Fact]
    public async Task A_stream_that_breaks_off_after_a_message_fails_the_next_read()
    {
        await using var server = await TestServer.StartAsync(map: app => app.Run(async context =>
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.Body.WriteAsync(new byte[5]);
            await context.Response.Body.FlushAsync();
            await context.Request.Body.CopyToAsync(Stream.Null);
            context.Features.Get<IHttpResetFeature>()!.Reset(0x2);
        }));
        using var call = server.Client.Chat();
        Assert.True(await call.ResponseStream.MoveNext());

        await call.RequestStream.CompleteAsync();
        var exception = await Failure.OfAsync(() => call.ResponseStream.MoveNext());

        Assert.Equal(StatusCode.Internal, exception.StatusCode);
        Assert.StartsWith("Error reading next message. HttpProtocolException: ", exception.Status.Detail, StringComparison.Ordinal);
        Assert.Equal(StatusCode.Internal, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task A_server_that_stops_ends_its_calls()
    {
        var server = await TestServer.StartAsync();
        using var channel = GrpcChannel.ForAddress(server.Address);
        using var call = new Interop.Interop.InteropClient(channel).WaitStream(new Message());
        Assert.True(await call.ResponseStream.MoveNext());
        var read = call.ResponseStream.MoveNext();

        await server.DisposeAsync();

        await Failure.OfAsync(() => read);
    }

    private static async Task Call(GrpcChannel channel) => await new Interop.Interop.InteropClient(channel).EchoAsync(new Message());

    private static string ClosedAddress()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return $"http://{listener.LocalEndpoint}";
    }

    private sealed class OnceFailing() : DelegatingHandler(new SocketsHttpHandler())
    {
        private bool _failed;

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (_failed)
            {
                return base.SendAsync(request, cancellationToken);
            }

            _failed = true;
            throw new HttpRequestException("not yet", new SocketException());
        }
    }
}
