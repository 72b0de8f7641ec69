using Grpc.Core.Interceptors;
using Microsoft.Extensions.Logging;
using dotnet_etcd.interfaces;

namespace Discovery.Etcd.DotnetEtcd;

/// <summary>Makes dotnet-etcd's client over ours.</summary>
internal static class DotnetEtcdClient
{
    public static IEtcdClient Create(EtcdClient etcd, IWatchManager watches) => new dotnet_etcd.EtcdClient(CreateStubs(etcd), watches);

    public static IWatchManager CreateWatchManager(EtcdClient etcd, ILoggerFactory loggers) =>
        new WatchManager(etcd, CreateStubs(etcd).KVClient, new GuardedLoggerFactory(loggers).CreateLogger<WatchManager>());

    private static EtcdStubs CreateStubs(EtcdClient etcd) => new(etcd.CreateCallInvoker().Intercept(new CancellationInterceptor()));
}
