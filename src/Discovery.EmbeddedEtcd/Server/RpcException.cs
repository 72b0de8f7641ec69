using Discovery.Etcd;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>A call that ends with a status other than OK.</summary>
internal sealed class RpcException(StatusCode status, string message) : Exception(message)
{
    public StatusCode Status => status;
}
