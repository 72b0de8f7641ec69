using System.Globalization;
using Discovery.Etcd;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>An etcd with authentication: user <c>app</c> may read and write under <c>app/</c>.</summary>
public sealed class AuthNode : IAsyncLifetime
{
    public const string Password = "correct-horse-battery";
    private const string RootPassword = "root-password";

    private static readonly TimeSpan TokenLife = TimeSpan.FromSeconds(2);

    private IEtcdServer? _etcd;

    internal IEtcdServer Etcd => _etcd!;

    internal string Endpoint => Etcd.Endpoint;

    public async Task InitializeAsync()
    {
        _etcd = await EtcdServer.StartAsync(new EtcdProcessOptions
        {
            FastElections = true,
            ExtraArguments = ["--auth-token-ttl", "2", "--bcrypt-cost", "4"],
        });
        foreach (var command in (string[])[
            $"user add root:{RootPassword}", "user grant-role root root", "role add app", "role grant-permission app readwrite --prefix=true app/",
            $"user add app:{Password}", "user grant-role app app", "auth enable"])
        {
            await Etcdctl.RunAsync(Endpoint, command.Split(' '));
        }
    }

    public async Task DisposeAsync() => await Etcd.DisposeAsync();

    internal EtcdClient Connect() => Clients.Connect(Endpoint, o => (o.Username, o.Password) = ("app", Password));

    internal Task<string> RunAsync(params string[] arguments) => Etcdctl.RunAsync(Endpoint, ["--user", $"root:{RootPassword}", .. arguments]);

    /// <summary>Waits until every token that exists now has run out. Only time makes tokens expire.</summary>
    internal static async Task ExpireTokensAsync()
    {
        var since = TimeProvider.System.GetTimestamp();
        await Eventually.IsTrue(() => TimeProvider.System.GetElapsedTime(since) > TokenLife + TimeSpan.FromSeconds(1.5));
    }

    /// <summary>How many times etcd was asked for a token.</summary>
    internal async Task<int> CountAuthenticationsAsync()
    {
        using var http = new HttpClient();
        var metrics = await http.GetStringAsync(new Uri(Endpoint + "/metrics"));
        return metrics.Split('\n')
            .Where(l => l.StartsWith("grpc_server_handled_total", StringComparison.Ordinal)
                && l.Contains("\"Authenticate\"", StringComparison.Ordinal) && l.Contains("\"OK\"", StringComparison.Ordinal))
            .Sum(l => int.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }
}
