using Discovery.Etcd.Calls;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.Tests.Support;

/// <summary>A keep-alive stream.</summary>
internal sealed class KeepAliveCall(DuplexCall<LeaseKeepAliveRequest, LeaseKeepAliveResponse> call) : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    public async Task<LeaseKeepAliveResponse> RenewAsync(long id)
    {
        call.Send(new LeaseKeepAliveRequest { ID = id });
        return await call.ReadAsync(CancellationToken.None).WaitAsync(Limit) ?? throw new InvalidOperationException("The stream has ended.");
    }

    public void Dispose() => call.Dispose();
}
