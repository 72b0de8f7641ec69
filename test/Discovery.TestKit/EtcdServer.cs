namespace Discovery.TestKit;

/// <summary>
/// Starts the etcd that the environment asks for: a container of the image in ETCD_IMAGE, else a process. Tests that stop, pause or
/// wipe it, hand it files, or need several members, take <see cref="EtcdProcess"/> or <see cref="EtcdCluster"/> instead.
/// </summary>
public static class EtcdServer
{
    /// <summary>Starts it and waits until it serves.</summary>
    public static async Task<IEtcdServer> StartAsync(EtcdProcessOptions? options = null)
        => Environment.GetEnvironmentVariable("ETCD_IMAGE") is { Length: > 0 } image
            ? await EtcdContainer.StartAsync(image, options)
            : await EtcdProcess.StartAsync(options);
}
