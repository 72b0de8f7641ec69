using System.Globalization;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Etcd;

namespace Aspire.Hosting;

/// <summary>Adds etcd to an application model.</summary>
public static class EtcdResourceBuilderExtensions
{
    /// <summary>
    /// Adds an etcd of one member, in a container of the image <c>quay.io/coreos/etcd</c>. It is healthy when it answers and has a leader.
    /// Its data are lost with the container unless it has a volume.
    /// </summary>
    /// <param name="builder">The builder of the application.</param>
    /// <param name="name">
    /// The resource's name, which is also that of the connection string. Discovery.AspNetCore reads the connection string <c>etcd</c>, and others
    /// for clusters of their name.
    /// </param>
    /// <param name="port">The port on this machine. Default: a free one, another at each start.</param>
    /// <returns>The builder of the resource.</returns>
    public static IResourceBuilder<EtcdResource> AddEtcd(
        this IDistributedApplicationBuilder builder, [ResourceName] string name, int? port = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrEmpty(name);
        var clientPort = EtcdContainerImage.ClientPort.ToString(CultureInfo.InvariantCulture);
        return builder.AddResource(new EtcdResource(name))
            .WithImage(EtcdContainerImage.Image, EtcdContainerImage.Tag)
            .WithImageRegistry(EtcdContainerImage.Registry)
            .WithEntrypoint(EtcdContainerImage.Entrypoint)
            .WithArgs(
                $"--data-dir={EtcdContainerImage.DataDirectory}",
                $"--listen-client-urls=http://0.0.0.0:{clientPort}",
                $"--advertise-client-urls=http://{name}:{clientPort}")
            .WithHttpEndpoint(port, EtcdContainerImage.ClientPort, EtcdResource.PrimaryEndpointName)
            .WithHttpHealthCheck("/health", endpointName: EtcdResource.PrimaryEndpointName);
    }

    /// <summary>Chooses the port on this machine.</summary>
    /// <param name="builder">The builder of the resource.</param>
    /// <param name="port">The port; null for a free one, another at each start.</param>
    /// <returns>The builder of the resource.</returns>
    public static IResourceBuilder<EtcdResource> WithHostPort(this IResourceBuilder<EtcdResource> builder, int? port)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.WithEndpoint(EtcdResource.PrimaryEndpointName, endpoint => endpoint.Port = port);
    }

    /// <summary>Keeps the data in a volume, from one start to the next.</summary>
    /// <param name="builder">The builder of the resource.</param>
    /// <param name="name">The volume's name. Default: one made of the application's and the resource's.</param>
    /// <returns>The builder of the resource.</returns>
    public static IResourceBuilder<EtcdResource> WithDataVolume(this IResourceBuilder<EtcdResource> builder, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.WithVolume(name ?? VolumeNameGenerator.Generate(builder, "data"), EtcdContainerImage.DataDirectory);
    }

    /// <summary>Keeps the data in a folder of this machine, from one start to the next.</summary>
    /// <param name="builder">The builder of the resource.</param>
    /// <param name="source">The folder, absolute or relative to that of the AppHost.</param>
    /// <returns>The builder of the resource.</returns>
    public static IResourceBuilder<EtcdResource> WithDataBindMount(this IResourceBuilder<EtcdResource> builder, string source)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrEmpty(source);
        return builder.WithBindMount(source, EtcdContainerImage.DataDirectory);
    }

    /// <summary>
    /// Has etcd demand a user and a password. They are set up each time etcd has started, before resources start that wait for it
    /// (<c>WaitFor</c>). When the application is published nothing is set up: whoever deploys etcd does it.
    /// </summary>
    /// <param name="builder">The builder of the resource.</param>
    /// <param name="userName">
    /// The user's name. Default: <c>root</c>, who may do everything. Another user may read and write all keys, and no more; <c>root</c>
    /// then has the same password.
    /// </param>
    /// <param name="password">The password, which cannot have a double quote. Default: a generated one, in the parameter <c>&lt;name&gt;-password</c>.</param>
    /// <returns>The builder of the resource.</returns>
    public static IResourceBuilder<EtcdResource> WithAuth(
        this IResourceBuilder<EtcdResource> builder,
        IResourceBuilder<ParameterResource>? userName = null,
        IResourceBuilder<ParameterResource>? password = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var etcd = builder.Resource;
        var isFirst = etcd.PasswordParameter is null;
        etcd.UserNameParameter = userName?.Resource;
        etcd.PasswordParameter = password?.Resource
            ?? ParameterResourceBuilderExtensions.CreateDefaultPasswordParameter(builder.ApplicationBuilder, $"{etcd.Name}-password");
        return isFirst ? builder.OnResourceReady(EtcdAuthentication.EnableAsync) : builder;
    }
}
