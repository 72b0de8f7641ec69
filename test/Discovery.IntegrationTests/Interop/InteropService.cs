using System.Globalization;
using Google.Protobuf;
using Grpc.Core;
using Peers.V1;

namespace Discovery.IntegrationTests.Interop;

/// <summary>The service of interop.proto, as the tests of this project and the foreign peers expect it.</summary>
public class InteropService(CallObserver observer) : Peers.V1.Interop.InteropBase
{
    public override Task<Message> Echo(Message request, ServerCallContext context)
    {
        observer.Record(context);
        return Task.FromResult(new Message(request));
    }

    public override async Task Count(Message request, IServerStreamWriter<Message> responseStream, ServerCallContext context)
    {
        for (var i = 0; i < request.Number; i++)
        {
            await responseStream.WriteAsync(new Message { Text = i.ToString(CultureInfo.InvariantCulture), Number = i });
        }

        context.ResponseTrailers.Add("count", request.Number.ToString(CultureInfo.InvariantCulture));
    }

    public override async Task<Message> Collect(IAsyncStreamReader<Message> requestStream, ServerCallContext context)
    {
        var texts = new List<string>();
        await foreach (var message in requestStream.ReadAllAsync(context.CancellationToken))
        {
            texts.Add(message.Text);
        }

        return new Message { Text = string.Concat(texts), Number = texts.Count };
    }

    public override async Task Chat(
        IAsyncStreamReader<Message> requestStream, IServerStreamWriter<Message> responseStream, ServerCallContext context)
    {
        var broken = true;
        try
        {
            while (await requestStream.MoveNext())
            {
                await responseStream.WriteAsync(requestStream.Current);
            }

            broken = false;
        }
        finally
        {
            observer.Ended(context, broken);
        }
    }

    public override Task<Message> Fail(Message request, ServerCallContext context) => throw Failure((StatusCode)request.Number, request.Text);

    public override async Task FailLate(Message request, IServerStreamWriter<Message> responseStream, ServerCallContext context)
    {
        await Count(request, responseStream, context);
        throw Failure(StatusCode.Aborted, request.Text);
    }

    public override async Task<Message> EchoMetadata(Message request, ServerCallContext context)
    {
        var headers = new Metadata();
        foreach (var entry in context.RequestHeaders.Where(entry => entry.Key.StartsWith("echo-", StringComparison.Ordinal)))
        {
            headers.Add(entry);
            context.ResponseTrailers.Add(
                entry.IsBinary ? new Metadata.Entry($"trailer-{entry.Key}", entry.ValueBytes) : new Metadata.Entry($"trailer-{entry.Key}", entry.Value));
        }

        await context.WriteResponseHeadersAsync(headers);
        return new Message { Number = headers.Count };
    }

    public override async Task<Message> Wait(Message request, ServerCallContext context)
    {
        observer.Record(context);
        try
        {
            await Task.Delay(TimeSpan.FromMilliseconds(request.Number), TimeProvider.System, context.CancellationToken);
            return new Message { Text = "waited" };
        }
        finally
        {
            observer.Ended(context);
        }
    }

    public override async Task WaitStream(Message request, IServerStreamWriter<Message> responseStream, ServerCallContext context)
    {
        observer.Record(context);
        try
        {
            await responseStream.WriteAsync(new Message { Text = "first" });
            var silence = request.Number > 0 ? TimeSpan.FromMilliseconds(request.Number) : Timeout.InfiniteTimeSpan;
            await Task.Delay(silence, TimeProvider.System, context.CancellationToken);
            await responseStream.WriteAsync(new Message { Text = "second" });
        }
        finally
        {
            observer.Ended(context);
        }
    }

    public override Task<Message> Large(Message request, ServerCallContext context)
        => Task.FromResult(new Message { Payload = ByteString.CopyFrom(new byte[request.Number]) });

    private static RpcException Failure(StatusCode code, string detail)
        => new(new Status(code, detail), new Metadata { { "reason", "asked" } });
}
