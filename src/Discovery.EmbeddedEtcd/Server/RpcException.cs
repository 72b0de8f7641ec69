using Discovery.Etcd;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>A call that ends with a status other than OK.</summary>
internal sealed class RpcException(EtcdStatusCode status, string message) : Exception(message)
{
    public EtcdStatusCode Status => status;
}
