using Grpc.Core;
using Grpc.Subset.Tests.Interop;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.Subset.Tests;

public sealed class ServiceTests
{
    [Fact]
    public async Task Each_call_has_a_service_of_its_own_that_ends_with_it()
    {
        var log = new CallLog();
        await using var server = await TestServer.StartAsync(
            map: app => app.MapGrpcService<DisposableService>(), services: services => services.AddSingleton(log));

        await server.Client.EchoAsync(new Message());
        using var call = server.Client.Count(new Message());
        Assert.False(await call.ResponseStream.MoveNext());

        await Eventually.IsTrue(() => log.Disposed == 2);
        Assert.Equal(2, log.Created);
    }

    [Fact]
    public async Task A_registered_service_is_used_as_registered()
    {
        var log = new CallLog();
        await using var server = await TestServer.StartAsync(
            map: app => app.MapGrpcService<DisposableService>(),
            services: services => services.AddSingleton(log).AddSingleton<DisposableService>());

        await server.Client.EchoAsync(new Message());
        await server.Client.EchoAsync(new Message());

        Assert.Equal((1, 0), (log.Created, log.Disposed));
    }

    [Fact]
    public async Task A_service_that_cannot_be_created_fails_the_call()
    {
        await using var server = await TestServer.StartAsync(map: app => app.MapGrpcService<DisposableService>());

        var exception = await Failure.OfAsync(() => server.Client.EchoAsync(new Message()).ResponseAsync);

        Assert.Equal(new Status(StatusCode.Unknown, "Exception was thrown by handler."), exception.Status);
    }

    [Fact]
    public async Task Conventions_and_attributes_reach_every_endpoint()
    {
        await using var server = await TestServer.StartAsync(map: app =>
        {
            app.UseRouting();
            app.Use((context, next) =>
            {
                var metadata = context.GetEndpoint()!.Metadata;
                context.Response.Headers["seen"] = string.Join(',', metadata.OfType<MarkAttribute>().Select(mark => mark.Text));
                return next(context);
            });
            app.MapGrpcService<MarkedService>().Add(endpoint => endpoint.Metadata.Add(new MarkAttribute("convention")));
        });

        using var call = server.Client.EchoAsync(new Message());

        Assert.Equal("type,method,convention", (await call.ResponseHeadersAsync).GetValue("seen"));
    }

    [Fact]
    public async Task A_service_may_derive_from_another()
    {
        await using var server = await TestServer.StartAsync(map: app => app.MapGrpcService<DerivedService>());

        Assert.Equal("derived", (await server.Client.EchoAsync(new Message())).Text);
        Assert.Equal("base", (await server.Client.LargeAsync(new Message())).Text);
    }

    [Fact]
    public async Task Mapping_without_the_services_is_refused()
    {
        await using var app = WebApplication.CreateSlimBuilder().Build();

        var exception = Assert.Throws<InvalidOperationException>(() => app.MapGrpcService<InteropService>());

        Assert.Contains("'IServiceCollection.AddGrpc'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_type_without_methods_serves_nothing()
    {
        await using var server = await TestServer.StartAsync(map: app => app.MapGrpcService<object>());

        var exception = await Failure.OfAsync(() => server.Client.EchoAsync(new Message()).ResponseAsync);

        Assert.Equal(new Status(StatusCode.Unimplemented, "Service is unimplemented."), exception.Status);
    }

    [Fact]
    public async Task A_reader_and_a_writer_end_with_their_call()
    {
        var service = new LeakingService();
        await using var server = await TestServer.StartAsync(
            map: app => app.MapGrpcService<LeakingService>(), services: services => services.AddSingleton(service));
        using (var call = server.Client.Chat())
        {
            Assert.False(await call.ResponseStream.MoveNext());
        }

        var read = await Assert.ThrowsAsync<InvalidOperationException>(() => service.Reader!.MoveNext());
        var write = await Assert.ThrowsAsync<InvalidOperationException>(() => service.Writer!.WriteAsync(new Message()));

        Assert.Equal("Can't read messages after the request is complete.", read.Message);
        Assert.Equal("Can't write the message because the request is complete.", write.Message);
    }

    [Fact]
    public async Task Messages_may_wait_for_the_next_flush()
    {
        await using var server = await TestServer.StartAsync(map: app => app.MapGrpcService<BufferingService>());
        using var call = server.Client.Count(new Message { Number = 3 });

        Assert.Equal(3, await call.ResponseStream.ReadAllAsync().CountAsync());
    }

    public sealed class CallLog
    {
        public int Created { get; set; }

        public int Disposed { get; set; }
    }

    private sealed class DisposableService : Interop.Interop.InteropBase, IDisposable
    {
        private readonly CallLog _log;

        public DisposableService(CallLog log)
        {
            _log = log;
            _log.Created++;
        }

        public override Task<Message> Echo(Message request, ServerCallContext context) => Task.FromResult(request);

        public override Task Count(Message request, IServerStreamWriter<Message> responseStream, ServerCallContext context) => Task.CompletedTask;

        public void Dispose() => _log.Disposed++;
    }

    [Mark("type")]
    private sealed class MarkedService : Interop.Interop.InteropBase
    {
        [Mark("method")]
        public override Task<Message> Echo(Message request, ServerCallContext context) => Task.FromResult(request);
    }

    private class BaseService : Interop.Interop.InteropBase
    {
        public override Task<Message> Echo(Message request, ServerCallContext context) => Task.FromResult(new Message { Text = "base" });

        public override Task<Message> Large(Message request, ServerCallContext context) => Task.FromResult(new Message { Text = "base" });
    }

    private sealed class DerivedService : BaseService
    {
        public override Task<Message> Echo(Message request, ServerCallContext context) => Task.FromResult(new Message { Text = "derived" });

        public new Task<Message> Large(Message request, ServerCallContext context) => Task.FromResult(new Message { Text = "hidden" });
    }

    private sealed class LeakingService : Interop.Interop.InteropBase
    {
        public IAsyncStreamReader<Message>? Reader { get; private set; }

        public IServerStreamWriter<Message>? Writer { get; private set; }

        public override Task Chat(
            IAsyncStreamReader<Message> requestStream, IServerStreamWriter<Message> responseStream, ServerCallContext context)
        {
            (Reader, Writer) = (requestStream, responseStream);
            return Task.CompletedTask;
        }
    }

    private sealed class BufferingService : Interop.Interop.InteropBase
    {
        public override async Task Count(Message request, IServerStreamWriter<Message> responseStream, ServerCallContext context)
        {
            responseStream.WriteOptions = new WriteOptions(WriteFlags.BufferHint);
            for (var i = 0; i < request.Number; i++)
            {
                await responseStream.WriteAsync(new Message());
            }
        }
    }

    [AttributeUsage(AttributeTargets.All)]
    private sealed class MarkAttribute(string text) : Attribute
    {
        public string Text => text;
    }
}
