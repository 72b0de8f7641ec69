using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;

namespace Discovery.TestKit;

/// <summary>A test's own etcd with one member, in a container.</summary>
public sealed class EtcdContainer : IEtcdServer
{
    private const int Port = 2379;
    private static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(3);

    private readonly IContainer _container;

    private EtcdContainer(IContainer container, Version version) => (_container, EtcdVersion) = (container, version);

    /// <inheritdoc />
    public string Endpoint => EndpointOf(_container);

    /// <inheritdoc />
    public int ClientPort => _container.GetMappedPublicPort(Port);

    /// <inheritdoc />
    public Version EtcdVersion { get; }

    /// <summary>Starts it and waits until it serves.</summary>
    /// <param name="image">E.g. <c>quay.io/coreos/etcd:v3.6.5</c>.</param>
    /// <param name="options">How it is started; without TLS, for its files are not in the container.</param>
    /// <exception cref="InvalidOperationException">No Docker engine answers, or the container does not serve; says why.</exception>
    public static async Task<EtcdContainer> StartAsync(string image, EtcdProcessOptions? options = null)
    {
        options ??= new EtcdProcessOptions { FastElections = true };
        IContainer container;
        try
        {
            container = new ContainerBuilder(image)
                .WithEntrypoint("etcd")
                .WithCommand([.. CommandLine(options)])
                .WithPortBinding(Port, assignRandomHostPort: true)
                .WithWaitStrategy(Wait.ForUnixContainer().UntilMessageIsLogged("serving (insecure client requests|client traffic)"))
                .Build();
        }
        catch (Exception e) when (e is DockerUnavailableException or ArgumentException)
        {
            throw new InvalidOperationException(
                $"ETCD_IMAGE is '{image}', but no Docker engine answers. Start one (or set DOCKER_HOST), or unset ETCD_IMAGE to run etcd as a process.", e);
        }

        try
        {
            using var limit = new CancellationTokenSource(StartLimit);
            await container.StartAsync(limit.Token);
            return new EtcdContainer(container, await AskVersionAsync(EndpointOf(container), limit.Token));
        }
        catch (Exception e)
        {
            var logs = await LogsOfAsync(container);
            await container.DisposeAsync();
            throw new InvalidOperationException($"The container of '{image}' does not serve: {e.Message}\n{logs}", e);
        }
    }

    /// <inheritdoc />
    public ValueTask DisposeAsync() => _container.DisposeAsync();

    /// <summary>The arguments of etcd in the container.</summary>
    /// <exception cref="NotSupportedException">The options ask for TLS.</exception>
    internal static IReadOnlyList<string> CommandLine(EtcdProcessOptions options)
    {
        if (options.ClientScheme != "http")
        {
            throw new NotSupportedException($"An etcd in a container serves http only, not '{options.ClientScheme}': use EtcdProcess.");
        }

        var listen = string.Create(CultureInfo.InvariantCulture, $"http://0.0.0.0:{Port}");
        return
        [
            "--name", "container",
            "--data-dir", "/tmp/etcd-data",
            "--listen-client-urls", listen,
            "--advertise-client-urls", listen,
            "--log-level", "info",
            "--logger", "zap",
            .. options.FastElections ? EtcdProcessOptions.FastElectionArguments : [],
            .. options.ExtraArguments,
        ];
    }

    private static string EndpointOf(IContainer container)
        => string.Create(CultureInfo.InvariantCulture, $"http://{container.Hostname}:{container.GetMappedPublicPort(Port)}");

    private static async Task<Version> AskVersionAsync(string endpoint, CancellationToken cancellationToken)
    {
        using var http = new HttpClient();
        var answer = await http.GetFromJsonAsync<JsonObject>(new Uri(endpoint + "/version"), cancellationToken);
        return Version.Parse(answer!["etcdserver"]!.GetValue<string>().Split('-', '+')[0]);
    }

    private static async Task<string> LogsOfAsync(IContainer container)
    {
        try
        {
            var (output, errors) = await container.GetLogsAsync();
            return output + errors;
        }
        catch (Exception e)
        {
            // It was never created, or the engine went away: the first failure says more.
            return $"(no logs: {e.Message})";
        }
    }
}
