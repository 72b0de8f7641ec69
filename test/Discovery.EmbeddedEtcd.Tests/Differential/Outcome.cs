using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Tests.Differential;

/// <summary>What a call came to, as text, without what two servers cannot have in common: their ids.</summary>
internal static class Outcome
{
    public static async Task<string> OfAsync<T>(Task<T> call)
        where T : IMessage
    {
        try
        {
            return Of(await call);
        }
        catch (RpcException e)
        {
            return $"{e.StatusCode}: {e.Status.Detail}";
        }
    }

    public static string Of(IMessage message)
    {
        var header = message switch
        {
            RangeResponse r => r.Header,
            PutResponse r => r.Header,
            DeleteRangeResponse r => r.Header,
            TxnResponse r => r.Header,
            CompactionResponse r => r.Header,
            LeaseGrantResponse r => r.Header,
            LeaseRevokeResponse r => r.Header,
            LeaseKeepAliveResponse r => r.Header,
            LeaseTimeToLiveResponse r => r.Header,
            LeaseLeasesResponse r => r.Header,
            HashKVResponse r => r.Header,
            WatchResponse r => r.Header,
            _ => null,
        };
        if (header is not null)
        {
            header.ClusterId = 0;
            header.MemberId = 0;
        }

        // Both lists come in no particular order.
        if (message is LeaseTimeToLiveResponse { Keys: var keys })
        {
            var sorted = keys.OrderBy(k => k.ToStringUtf8(), StringComparer.Ordinal).ToList();
            keys.Clear();
            keys.AddRange(sorted);
        }

        if (message is LeaseLeasesResponse { Leases: var leases })
        {
            var sorted = leases.OrderBy(l => l.ID).ToList();
            leases.Clear();
            leases.AddRange(sorted);
        }

        return message.ToString() ?? "";
    }
}
