using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Hosting;

/// <summary>The connection string of etcd, as Aspire and people write it.</summary>
public sealed class ConnectionStringTests
{
    private const string Secret = "hunter2";

    [Theory]
    [InlineData("http://a:1", "http://a:1", null, null)]
    [InlineData("http://a:1, http://b:1", "http://a:1 http://b:1", null, null)]
    [InlineData("Endpoints=http://a:1", "http://a:1", null, null)]
    [InlineData("Endpoints=http://a:1,http://b:1;Username=shop;Password=hunter2", "http://a:1 http://b:1", "shop", "hunter2")]
    [InlineData(" PASSWORD = hunter2 ; username=shop; endpoints=http://a:1 ;", "http://a:1", "shop", "hunter2")]
    [InlineData("Endpoints=http://a:1;Username=\"shop\";Password=\"a;b=c,'d \"\"e\"\"\"", "http://a:1", "shop", "a;b=c,'d \"e\"")]
    [InlineData("Endpoints=http://a:1;Username=;Password=", "http://a:1", null, null)]
    public void It_has_endpoints_alone_or_a_user_as_well(string text, string endpoints, string? username, string? password)
    {
        var options = Read(("ConnectionStrings:etcd", text));

        Assert.Equal((endpoints, username, password), (string.Join(' ', options.Endpoints), options.Username, options.Password));
    }

    [Theory]
    [InlineData("Username=root;Password=hunter2", "no part Endpoints")]
    [InlineData("Endpoints=http://a:1;Username=root;Pasword=hunter2", "other parts than Endpoints, Username, Password")]
    [InlineData("Endpoints=http://a:1;Username=root;Password=x;hunter2=y", "other parts")]
    [InlineData("Endpoints=http://a:1;Username=root;Password=x;hunter2", "cannot be read")]
    [InlineData("Endpoints=http://a:1;Username=root;Password=\"hunter2", "cannot be read")]
    public void One_that_cannot_be_read_is_named_with_a_valid_one_and_never_repeated(string text, string expected)
    {
        var e = Assert.Throws<OptionsValidationException>(() => Read(("ConnectionStrings:etcd", text)));

        Assert.Contains("ConnectionStrings:etcd", e.Message, StringComparison.Ordinal);
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
        Assert.Contains("Endpoints=http://10.0.0.1:2379;Username=shop;Password=…", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, e.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "Password", Secret)]
    [InlineData("", "Endpoints", "http://a:1", "Password", "hunter2:1234")]
    [InlineData("", "Endpoints:0", "http://a:1")]
    [InlineData("", "0", "http://a:1", "Password", Secret)]
    [InlineData("", "0:Password", Secret)]
    [InlineData("", "0", "http://a:1", "1", "Username=root;Pwd=hunter2")]
    [InlineData("dc2", "Password", Secret)]
    [InlineData("dc2", "Endpoints", "http://a:1", "Password", "hunter2:1234")]
    public void One_in_parts_is_no_list_of_endpoints(string cluster, string key, string value, string? otherKey = null, string? otherValue = null)
    {
        var setting = $"ConnectionStrings:{(cluster.Length == 0 ? "etcd" : cluster)}";
        (string, string)[] other = otherKey is null ? [] : [($"{setting}:{otherKey}", otherValue!)];
        using var services = Build([($"{setting}:{key}", value), .. other], s => s.AddKeyedEtcdClient("dc2"));

        var e = Assert.Throws<OptionsValidationException>(() => services.GetRequiredService<IOptionsMonitor<EtcdClientOptions>>().Get(cluster));

        Assert.StartsWith($"{setting} is ", e.Message, StringComparison.Ordinal);
        Assert.Contains("it must be one text: write the client URLs alone, e.g. http://10.0.0.1:2379, or Endpoints=", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, e.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_array_of_client_URLs_is_read()
    {
        var options = Read(("ConnectionStrings:etcd:0", "http://a:1"), ("ConnectionStrings:etcd:1", "http://b:1"));

        Assert.Equal(["http://a:1", "http://b:1"], options.Endpoints);
    }

    [Theory]
    [InlineData("Etcd:Username", "shop", "root", "hunter2", "shop", null)]
    [InlineData("Etcd:Password", "other", "root", "hunter2", "root", "other")]
    public void The_section_wins_and_no_password_goes_with_another_user(
        string setting, string value, string username, string password, string? expectedUsername, string? expectedPassword)
    {
        using var services = Build([("ConnectionStrings:etcd", $"Endpoints=http://a:1;Username={username};Password={password}"), (setting, value)]);
        var options = new EtcdClientOptions();

        foreach (var configure in services.GetServices<IConfigureOptions<EtcdClientOptions>>())
        {
            configure.Configure(options);
        }

        Assert.Equal((expectedUsername, expectedPassword), (options.Username, options.Password));
    }

    [Fact]
    public void A_named_cluster_has_the_one_of_its_name()
    {
        using var services = Build(
            [("ConnectionStrings:etcd", "http://a:1"), ("ConnectionStrings:dc2", "Endpoints=http://b:1;Username=shop;Password=hunter2")],
            s => s.AddKeyedEtcdClient("dc2"));

        var options = services.GetRequiredService<IOptionsMonitor<EtcdClientOptions>>().Get("dc2");

        Assert.Equal(("http://b:1", "shop", Secret), (Assert.Single(options.Endpoints), options.Username, options.Password));
        Assert.Null(services.GetRequiredService<IOptions<EtcdClientOptions>>().Value.Username);
    }

    [Theory]
    [InlineData("http://b:1", true)]
    [InlineData("Endpoints=http://a:1;Username=root;Password=hunter2", true)]
    [InlineData("Server=elsewhere;hunter2", true)]
    [InlineData("http://a:1", false)]
    [InlineData("", false)]
    public async Task One_that_is_not_read_because_endpoints_are_set_is_warned_of(string text, bool isWarned)
    {
        using var log = new LogRecorder();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection([new("Etcd:Endpoints:0", "http://a:1"), new("ConnectionStrings:etcd", text)]);
        builder.Logging.AddProvider(log);
        builder.Services.AddEtcdDiscovery();
        using var host = builder.Build();

        await host.StartAsync();

        Assert.Equal(isWarned ? 1 : 0, log.At(LogLevel.Warning).Count(l => l.Contains("ConnectionStrings:etcd has no effect", StringComparison.Ordinal)));
        Assert.DoesNotContain(log.At(LogLevel.Warning), l => l.Contains(Secret, StringComparison.Ordinal));
        await host.StopAsync();
    }

    private static EtcdClientOptions Read(params (string Key, string Value)[] settings)
    {
        using var services = Build(settings);
        return services.GetRequiredService<IOptions<EtcdClientOptions>>().Value;
    }

    private static ServiceProvider Build((string Key, string Value)[] settings, Action<IServiceCollection>? configure = null)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(
            new ConfigurationBuilder().AddInMemoryCollection(settings.ToDictionary(s => s.Key, s => (string?)s.Value)).Build());
        services.AddEtcdClient();
        configure?.Invoke(services);
        return services.BuildServiceProvider();
    }
}
