using Grpc.Core;

namespace Grpc.Net.Client.Calls;

/// <summary>A call with many responses.</summary>
internal sealed class StreamResponseCall<TRequest, TResponse> : TypedCall<TRequest, TResponse>
    where TRequest : class
    where TResponse : class
{
    public StreamResponseCall(GrpcChannel channel, Method<TRequest, TResponse> method, CallOptions options)
        : base(channel, method, options)
        => Reader = new ClientStreamReader<TRequest, TResponse>(this);

    public ClientStreamReader<TRequest, TResponse> Reader { get; }

    protected override void Run(HttpContent content) => _ = RunAsync(content);

    protected override void StopStreams()
    {
        base.StopStreams();
        Reader.Cancel();
    }

    private async Task RunAsync(HttpContent content)
    {
        try
        {
            var response = await SendAsync(content);
            if (GetEarlyStatus(response) is { StatusCode: not StatusCode.OK } early)
            {
                Finish(early);
            }
            else
            {
                Reader.Start(response);
                Close(await Completion);
            }
        }
        catch (Exception failure)
        {
            Fail(failure);
        }

        LogEnd(Completion.Result);
    }
}
