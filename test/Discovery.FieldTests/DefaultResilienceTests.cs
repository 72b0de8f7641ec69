using Discovery.FieldTests.Support;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http.Resilience;

namespace Discovery.FieldTests;

/// <summary>gRPC clients of an application whose defaults give all clients a resilience handler, as Aspire's service defaults do.</summary>
public sealed class DefaultResilienceTests
{
    private static readonly TimeSpan AttemptTimeout = TimeSpan.FromMilliseconds(200);

    private static readonly Marshaller<byte[]> Bytes = Marshallers.Create(static b => b, static b => b);

    private static readonly Method<byte[], byte[]> Upload = new(MethodType.ClientStreaming, "a.B", "Upload", Bytes, Bytes);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_upload_takes_longer_than_an_attempt_may_where_the_handler_is_removed(bool isRemoved)
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(AnswerAsync, HttpProtocols.Http2);
        var services = field.Application(s =>
        {
            s.ConfigureHttpClientDefaults(static http => http.AddStandardResilienceHandler(static o =>
            {
                o.AttemptTimeout.Timeout = AttemptTimeout;
                o.Retry.Delay = TimeSpan.FromMilliseconds(1);
            }));
            var client = s.AddEtcdGrpcClient<UploadClient>(Field.Service);
            if (isRemoved)
            {
#pragma warning disable EXTEXP0001 // Its name may change.
                client.RemoveAllResilienceHandlers();
#pragma warning restore EXTEXP0001
            }
        });

        using var call = services.GetRequiredService<UploadClient>().Invoker.AsyncClientStreamingCall(Upload, null, default);
        var error = await Record.ExceptionAsync(async () =>
        {
            await call.RequestStream.WriteAsync([1]);
            await Task.WhenAny(call.ResponseAsync, Task.Delay(5 * AttemptTimeout));
            await call.RequestStream.WriteAsync([2]);
            await call.RequestStream.CompleteAsync();
            await call.ResponseAsync;
        });

        Assert.Equal(isRemoved, error is null);
        Assert.True(isRemoved || (error as RpcException)?.StatusCode is StatusCode.Internal or StatusCode.Cancelled, error?.ToString());
    }

    private static async Task AnswerAsync(HttpContext context)
    {
        await context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
        context.Response.ContentType = "application/grpc";
        await context.Response.Body.WriteAsync(new byte[5]);
        context.Response.AppendTrailer("grpc-status", "0");
    }

    public sealed class UploadClient(CallInvoker invoker)
    {
        public CallInvoker Invoker => invoker;
    }
}
