using Discovery.EmbeddedEtcd;
using Discovery.EmbeddedEtcd.Hosting;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.Hosting;

/// <summary>Adds an <see cref="EmbeddedEtcdServer"/> to an application.</summary>
public static class EmbeddedEtcdExtensions
{
    /// <summary>
    /// Runs an <see cref="EmbeddedEtcdServer"/> as long as the application, from before its first to after its last service, and points the
    /// application to it, whatever was configured before: an application in development must not meet the etcd of production. The
    /// setting <c>Etcd:Endpoints</c>, as a text and as a list, and the connection string <c>etcd</c> are overwritten. A source that is
    /// added later is warned of when the application starts, and does not reach the application's <see cref="EtcdClientOptions"/>, nor do
    /// <c>Etcd:Tls</c>, <c>Etcd:Username</c> and <c>Etcd:Password</c>, for the embedded etcd has neither TLS nor users.
    /// Named clusters keep the endpoints of their own, and are warned of. The instance can be injected.
    /// </summary>
    /// <remarks>
    /// A port of the system's choice (<see cref="EmbeddedEtcdOptions.Port"/> is 0) is taken at once, a fixed one when the application starts:
    /// tools that build the application beside a running one, as <c>dotnet ef</c>, do not need it. If it is in use, the start fails.
    /// </remarks>
    /// <param name="builder">The builder of the application.</param>
    /// <param name="configure">Changes the options.</param>
    /// <returns>The same builder.</returns>
    /// <exception cref="InvalidOperationException">
    /// The environment is not Development, and <see cref="EmbeddedEtcdOptions.AllowOutsideDevelopment"/> is not set; or it was called before.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is wrong; the message names it.</exception>
    public static TBuilder AddEmbeddedEtcd<TBuilder>(this TBuilder builder, Action<EmbeddedEtcdOptions>? configure = null)
        where TBuilder : IHostApplicationBuilder
    {
        ArgumentNullException.ThrowIfNull(builder);
        var options = new EmbeddedEtcdOptions();
        configure?.Invoke(options);
        if (options.SkipIfEndpointsConfigured && EndpointSettings.IsConfigured(builder.Configuration))
        {
            return builder;
        }

        if (!builder.Environment.IsDevelopment() && !options.AllowOutsideDevelopment)
        {
            throw new InvalidOperationException(
                $"AddEmbeddedEtcd() is for the environment Development, and this is '{builder.Environment.EnvironmentName}': its data lives in this "
                + $"process and is lost with it. Point {EndpointSettings.Endpoints} to a real etcd, e.g. \"http://10.0.0.1:2379\", or set "
                + $"{nameof(EmbeddedEtcdOptions)}.{nameof(options.AllowOutsideDevelopment)} = true.");
        }

        if (builder.Services.Any(s => s.ServiceType == typeof(EmbeddedEtcdServer)))
        {
            throw new InvalidOperationException("AddEmbeddedEtcd() was called twice: an application has one embedded etcd. Remove one of the calls.");
        }

        var etcd = EmbeddedEtcdServer.Create(options);
        EndpointSettings.Overwrite(builder.Configuration, etcd.Endpoint);
        // Also over endpoints that are set in code, or by a source that is added after this call.
        builder.Services.AddOptions<EtcdClientOptions>().PostConfigure<IServiceProvider>((client, services) =>
        {
            client.Endpoints = [etcd.Endpoint];

            // What is for another etcd is not for this one: files that are not on this machine, and a password that is nobody else's business.
            client.Tls = new EtcdTlsOptions();
            (client.Username, client.Password) = (null, null);

            // Who needs a client before the host starts, as YARP's MapReverseProxy does, would wait for an etcd that does not answer yet. A
            // failure is that of the start, which waits for the same.
            _ = services.GetRequiredService<EmbeddedEtcdServer>().RunAsync(LoggersOf(options, services), CancellationToken.None);
        });

        // By a factory, so that the container disposes what it has handed out.
        builder.Services.AddSingleton(_ => etcd);
        // First of all services, wherever the call stands: the others may need etcd to start, and still need it when they stop.
        builder.Services.Insert(0, ServiceDescriptor.Singleton<IHostedService>(services => new EmbeddedEtcdService(
            services.GetRequiredService<EmbeddedEtcdServer>(),
            services.GetRequiredService<IHostEnvironment>(),
            services.GetRequiredService<IConfiguration>(),
            services.GetRequiredService<IOptionsMonitor<EtcdClientOptions>>(),
            NamedClusters(builder.Services),
            LoggersOf(options, services))));
        return builder;
    }

    /// <summary>The clusters beside the default one, for which the embedded etcd does not stand: each has a client that is keyed by its name.</summary>
    private static IReadOnlyList<string> NamedClusters(IServiceCollection services)
        => [.. services.Where(static s => s.IsKeyedService && s.ServiceType == typeof(EtcdClient)).Select(static s => s.ServiceKey).OfType<string>().Distinct(StringComparer.Ordinal)];

    private static ILoggerFactory LoggersOf(EmbeddedEtcdOptions options, IServiceProvider services)
        => options.LoggerFactory ?? services.GetRequiredService<ILoggerFactory>();
}
