using System.Reflection;

namespace Discovery.IntegrationTests.Registration;

/// <summary>An instance of examples/Greeter.Server in a process of its own. A restarted one has the same address.</summary>
internal sealed class GreeterProcess(string etcd, string service, string settings = "") : IAsyncDisposable
{
    private static readonly string Program = typeof(GreeterProcess).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(attribute => attribute.Key == "GreeterServer").Value!;

    private readonly int _port = FreePort.Next();
    private OwnedProcess? _process;

    public OwnedProcess Process => _process!;

    public string Key => $"services/{service}/127.0.0.1:{_port}";

    public async Task StartAsync() => _process = await OwnedProcess.StartAsync(
        Environment.ProcessPath!,
        [
            Program,
            $"--Kestrel:Endpoints:Grpc:Url=http://127.0.0.1:{_port}",
            "--Kestrel:Endpoints:Grpc:Protocols=Http2",
            $"--Etcd:Endpoints:0={etcd}",
            $"--Etcd:Registration:ServiceName={service}",
            "--Logging:LogLevel:Default=Information",
            "--Logging:LogLevel:Microsoft.AspNetCore=Warning",
            .. settings.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(s => $"--Etcd:Registration:{s}"),
        ],
        environment: new Dictionary<string, string> { ["DOTNET_TieredPGO"] = "0" });

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }
    }
}
