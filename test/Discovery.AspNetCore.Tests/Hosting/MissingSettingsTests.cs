using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Discovery.AspNetCore.Tests.Hosting;

/// <summary>What is missing as it was mistyped: the error that stops the start has the similar name, for no warning follows it.</summary>
public sealed class MissingSettingsTests
{
    private static readonly (string, string) Name = ("Etcd:Registration:ServiceName", "greeter");
    private static readonly (string, string) Endpoints = ("Etcd:Endpoints", "http://127.0.0.1:9");

    public static TheoryData<string, string, string> OfClient => new()
    {
        { "Etcd:Endpoint", "http://a:1", "The setting Etcd:Endpoint is not known. Did you mean 'Endpoints'?" },
        { "Etcd:Enpoints:0", "http://a:1", "The setting Etcd:Enpoints is not known. Did you mean 'Endpoints'?" },
        { "Etcd_Endpoints", "http://a:1", "The variable Etcd_Endpoints is not read. Did you mean 'Etcd__Endpoints'?" },
        { "ETCD_ENDPOINTS_0", "http://a:1", "The variable ETCD_ENDPOINTS_0 is not read. Did you mean 'ETCD__ENDPOINTS__0'?" },
        { "ConnectionStrings:ectd", "http://a:1", "The connection string ConnectionStrings:ectd is not read. Did you mean 'etcd'?" },
        { "ConnectionStrings:etcd-main", "http://a:1", "The connection string ConnectionStrings:etcd-main is not read. Did you mean 'etcd'?" },
        { "Etcd:Clusters:dc1:Endpoints", "http://a:1", "Etcd:Clusters:dc1:Endpoints is for the cluster 'dc1', which AddKeyedEtcdClient(\"dc1\") adds; the default cluster has Etcd:Endpoints." },
    };

    public static TheoryData<string, string> OfRegistration => new()
    {
        { "Etcd:Registation:ServiceName", "The setting Etcd:Registation is not known. Did you mean 'Registration'?" },
        { "Etcd:Registration:ServcieName", "The setting Etcd:Registration:ServcieName is not known. Did you mean 'ServiceName'?" },
        { "Etcd:Registration:Service", "The setting Etcd:Registration:Service is not known. Did you mean 'ServiceName'?" },
        { "Etcd:Registration:Name", "The setting Etcd:Registration:Name is not known. Did you mean 'ServiceName'?" },
        { "Etcd_Registration_ServiceName", "The variable Etcd_Registration_ServiceName is not read. Did you mean 'Etcd__Registration__ServiceName'?" },
        { "Etcd:ServiceName", "The setting Etcd:ServiceName is not known. Did you mean 'Registration:ServiceName'?" },
    };

    [Theory]
    [MemberData(nameof(OfClient))]
    public async Task Endpoints_that_were_mistyped_are_named(string setting, string value, string hint)
    {
        var message = await FailAsync([Name, (setting, value)]);

        Assert.Contains("Etcd:Endpoints is empty", message, StringComparison.Ordinal);
        Assert.Contains(hint, message, StringComparison.Ordinal);
        Assert.Single(message.Split(hint)[1..]);
    }

    [Theory]
    [MemberData(nameof(OfRegistration))]
    public async Task A_service_name_that_was_mistyped_is_named(string setting, string hint)
    {
        var message = await FailAsync([Endpoints, (setting, "greeter")]);

        Assert.Contains("Etcd:Registration:ServiceName is missing", message, StringComparison.Ordinal);
        Assert.Contains(hint, message, StringComparison.Ordinal);
        Assert.Single(message.Split(hint)[1..]);
    }

    [Theory]
    [InlineData("Etcd:Registration:0:ServiceName", "Etcd:Registration is a list; it is a section with settings of its own, e.g. Etcd:Registration:Enabled.")]
    [InlineData("Etcd:0:Username", "Etcd is a list; it is a section with settings of its own, e.g. Etcd:Endpoints.")]
    public async Task A_section_that_is_written_as_a_list_is_named(string setting, string expected)
    {
        var message = await FailAsync(setting.StartsWith("Etcd:0", StringComparison.Ordinal) ? [(setting, "greeter")] : [Endpoints, (setting, "greeter")]);

        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_mistyped_section_is_named_once_for_all_that_it_had()
    {
        var message = await FailAsync([("Ectd:Endpoints", "http://a:1"), ("Ectd:Registration:ServiceName", "greeter"), ("Etc:Mine", "x")]);

        Assert.Contains("The section Ectd is not read. Did you mean 'Etcd'?", message, StringComparison.Ordinal);
        Assert.DoesNotContain("The section Etc ", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_named_cluster_whose_section_is_mistyped_is_named()
    {
        var message = await FailAsync(
            [Name, Endpoints, ("Etcd:Clusters:dc-2:Endpoints", "http://a:1"), ("Etcd:Clusters:other:Endpoints", "http://b:1")],
            static services => services.AddKeyedEtcdClient("dc2"));

        Assert.Contains("Etcd:Clusters:dc2:Endpoints is empty", message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Clusters:dc-2:Endpoints is for the cluster 'dc-2'. Did you mean 'dc2'?", message, StringComparison.Ordinal);
        Assert.DoesNotContain("other", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "The connection string 'etcd' (ConnectionStrings:etcd) does as well, and for development AddEmbeddedEtcd(). To do without etcd, "
        + "set Etcd:Registration:Enabled=false, and Etcd:Discovery:Services:<name>:Instances for each service that is called.")]
    [InlineData("dc2", "The connection string 'dc2' (ConnectionStrings:dc2) does as well. To do without this cluster, "
        + "set Etcd:Clusters:dc2:Registration:Enabled=false, and Etcd:Discovery:Services:<name>:Instances for each service that is called.")]
    public async Task Without_endpoints_the_error_says_what_does_instead(string cluster, string expected)
    {
        var message = cluster.Length == 0
            ? await FailAsync([Name])
            : await FailAsync([Name, Endpoints], services => services.AddKeyedEtcdRegistration(cluster));

        Assert.Single(message.Split(expected)[1..]);
    }

    [Fact]
    public async Task An_application_that_registers_nothing_is_not_told_to_switch_its_registration_off()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddHttpClient("orders").AddEtcdDiscovery();
        using var host = builder.Build();
        var message = (await Assert.ThrowsAnyAsync<Exception>(() => host.StartAsync())).Message;

        Assert.Contains("To do without etcd, set Etcd:Discovery:Services:<name>:Instances for each service that is called.", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_application_that_asked_for_the_client_is_not_told_to_do_without_etcd()
    {
        var message = await FailAsync([Name], static services => services.AddEtcdClient());

        Assert.Contains("The connection string 'etcd' (ConnectionStrings:etcd) does as well", message, StringComparison.Ordinal);
        Assert.DoesNotContain("do without", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_what_others_use_nothing_is_said()
    {
        var message = await FailAsync([Name, ("ConnectionStrings:db", "x"), ("Redis:Endpoints", "x"), ("Etcd:MyKeys", "x"), ("ETCD_PORT", "tcp://10.0.0.1:2379")]);

        Assert.Contains("Etcd:Endpoints is empty", message, StringComparison.Ordinal);
        Assert.DoesNotContain("Did you mean", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Settings_of_a_service_that_nobody_calls_yet_are_checked_at_the_start()
    {
        var message = await FailAsync(
            [Name, Endpoints, ("Etcd:Discovery:Services:orders:Policy", "Roundest"), ("Etcd:Discovery:Services:a:b:HashBound", "0")],
            static services => services.AddEtcdDiscovery());

        Assert.Contains("Etcd:Discovery:Services:orders:Policy is 'Roundest'", message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Discovery:Services:a:b:HashBound is '0'", message, StringComparison.Ordinal);
    }

    private static async Task<string> FailAsync((string Key, string Value)[] settings, Action<IServiceCollection>? configure = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(settings.ToDictionary(static s => s.Key, static s => (string?)s.Value));
        builder.Services.AddEtcdRegistration();
        configure?.Invoke(builder.Services);
        using var host = builder.Build();
        return (await Assert.ThrowsAnyAsync<Exception>(() => host.StartAsync())).Message;
    }
}
