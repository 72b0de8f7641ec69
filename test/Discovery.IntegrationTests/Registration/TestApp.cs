using System.Text;
using System.Text.Json;
using Discovery.AspNetCore;
using Discovery.Etcd;
using Discovery.IntegrationTests.Etcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.IntegrationTests.Registration;

/// <summary>A web application with a real Kestrel that registers itself. It answers GET / with its name, and keeps what it logs.</summary>
internal sealed class TestApp : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _calls;

    private TestApp(WebApplication app, LogRecorder log)
    {
        _app = app;
        Log = log;
        app.MapGet("/", () =>
        {
            Interlocked.Increment(ref _calls);
            return "ok";
        });
    }

    public LogRecorder Log { get; }

    public int Calls => _calls;

    public IServiceProvider Services => _app.Services;

    public IServiceRegistration Registration => _app.Services.GetRequiredService<IServiceRegistration>();

    public ServiceRegistrationState State => Registration.Status.State;

    public IReadOnlyList<string> Keys => Registration.Status.Keys;

    public string Url => _app.Urls.First();

    /// <summary>Builds an application that is not started yet. It does not linger at its stop unless told to.</summary>
    /// <param name="etcd">etcd's endpoint.</param>
    /// <param name="service">The service's name.</param>
    /// <param name="settings">Settings under Etcd:Registration, or elsewhere with a leading slash, as "Weight=5;/Kestrel:…=…".</param>
    /// <param name="configure">Adds what the test needs.</param>
    public static TestApp Build(string etcd, string service, string settings = "", Action<WebApplicationBuilder>? configure = null)
    {
        var builder = WebApplication.CreateBuilder();
        var log = new LogRecorder();
        builder.Logging.ClearProviders().AddProvider(log);

        // Nothing of the machine's environment or of files that happen to lie here.
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection(
        [
            new("Etcd:Endpoints:0", etcd),
            new("Etcd:Registration:ServiceName", service),
            new("Etcd:Registration:DrainDelay", "0"),
            new("Etcd:Registration:LeaveDelay", "0"),
        ]);
        builder.Configuration.AddInMemoryCollection(Parse(settings));
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddEtcdRegistration();
        configure?.Invoke(builder);
        return new TestApp(builder.Build(), log);
    }

    public static async Task<TestApp> StartAsync(
        string etcd, string service, string settings = "", Action<WebApplicationBuilder>? configure = null)
    {
        var app = Build(etcd, service, settings, configure);
        await app.StartAsync();
        await app.SettleAsync();
        return app;
    }

    /// <summary>
    /// Waits until the registration, which begins when the start is over, has come to something: it stands, or it is said why not.
    /// </summary>
    public Task SettleAsync() => Eventually.IsTrue(
        () => State is not (ServiceRegistrationState.NotStarted or ServiceRegistrationState.Registering) || Log.Has(LogLevel.Information, "keeps trying"),
        what: $"The registration settled, is {Registration.Status}");

    public Task StartAsync(CancellationToken cancellationToken = default) => _app.StartAsync(cancellationToken);

    /// <summary>Maps more than the answer to GET /.</summary>
    public void Map(Action<IEndpointRouteBuilder> map) => map(_app);

    public Task StopAsync(CancellationToken cancellationToken = default) => _app.StopAsync(cancellationToken);

    public Task ReachAsync(ServiceRegistrationState state) => Eventually.IsTrue(() => State == state, what: $"{state}, is {State}");

    /// <summary>Changes settings as an edit of a file does.</summary>
    public void Reload(string settings)
    {
        foreach (var (key, value) in Parse(settings))
        {
            _app.Configuration[key] = value;
        }

        ((IConfigurationRoot)_app.Configuration).Reload();
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static IEnumerable<KeyValuePair<string, string?>> Parse(string settings)
        => settings.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(s => s.Split('=', 2)).Select(s => new KeyValuePair<string, string?>(
            s[0].StartsWith('/') ? s[0][1..] : "Etcd:Registration:" + s[0], s[1]));
}

/// <summary>What a test reads of a record in the EtcdNaming layout.</summary>
internal static class RecordReading
{
    public static JsonElement Metadata(this EtcdKeyValue record)
    {
        using var document = JsonDocument.Parse(record.Value);
        var metadata = document.RootElement.GetProperty("Metadata");
        return metadata.ValueKind == JsonValueKind.String ? JsonElement.Parse(metadata.GetString()!) : metadata.Clone();
    }

    public static string Text(this EtcdKeyValue record) => Encoding.UTF8.GetString(record.Value.Span);

    public static async Task<IReadOnlyList<EtcdKeyValue>> RecordsAsync(this EtcdClient client, string service)
        => (await client.ListAsync($"services/{service}/")).Items;

    public static bool IsDraining(EtcdKeyValue record) => record.Metadata().TryGetProperty("draining", out _);

    /// <summary>What happened to which key, in order. A request whose answer was late is sent again, so one thing may happen twice in a row.</summary>
    public static List<(string What, string Key)> Story(this WatchLog log)
    {
        var story = new List<(string What, string Key)>();
        foreach (var e in log.Events.Select(e => (e.Deleted ? "delete" : IsDraining(e.Record) ? "draining" : "put", e.Record.Key)))
        {
            if (story is [] || story[^1] != e)
            {
                story.Add(e);
            }
        }

        return story;
    }

    /// <summary>A service's name that no other test uses.</summary>
    public static string NewService() => "s" + Guid.NewGuid().ToString("N");
}
