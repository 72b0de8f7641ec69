using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Tests.Support;

/// <summary>A keep-alive stream.</summary>
internal sealed class KeepAliveCall(AsyncDuplexStreamingCall<LeaseKeepAliveRequest, LeaseKeepAliveResponse> call) : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    public async Task<LeaseKeepAliveResponse> RenewAsync(long id)
    {
        await call.RequestStream.WriteAsync(new LeaseKeepAliveRequest { ID = id });
        return await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Limit)
            ? call.ResponseStream.Current
            : throw new InvalidOperationException("The stream has ended.");
    }

    public void Dispose() => call.Dispose();
}
