using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.Aspire.Hosting.Tests;

/// <summary>What AddEtcd puts into the application model. No container runs here.</summary>
public sealed class ModelTests
{
    private readonly IDistributedApplicationBuilder _builder = DistributedApplication.CreateBuilder();

    [Fact]
    public async Task The_container_has_an_image_with_a_version_and_serves_clients_on_all_its_addresses()
    {
        var etcd = _builder.AddEtcd("etcd").Resource;

        var image = Assert.Single(etcd.Annotations.OfType<ContainerImageAnnotation>());
        Assert.Equal(("quay.io", "coreos/etcd"), (image.Registry, image.Image));
        Assert.Matches("^v3[.][67][.][0-9]+$", image.Tag);
        Assert.Equal("/usr/local/bin/etcd", etcd.Entrypoint);
        var arguments = await ArgumentsOfAsync(etcd);
        Assert.Contains("--listen-client-urls=http://0.0.0.0:2379", arguments);
        Assert.Contains("--advertise-client-urls=http://etcd:2379", arguments);
        var endpoint = Assert.Single(etcd.Annotations.OfType<EndpointAnnotation>());
        Assert.Equal((2379, null, "http"), (endpoint.TargetPort, endpoint.Port, endpoint.UriScheme));
        Assert.Single(etcd.Annotations.OfType<HealthCheckAnnotation>());
    }

    [Fact]
    public async Task Arguments_of_the_application_come_beside_ours()
    {
        var etcd = _builder.AddEtcd("etcd").WithArgs("--auto-compaction-retention=1h").Resource;

        var arguments = await ArgumentsOfAsync(etcd);

        Assert.Contains("--auto-compaction-retention=1h", arguments);
        Assert.Contains("--listen-client-urls=http://0.0.0.0:2379", arguments);
    }

    [Fact]
    public void A_port_can_be_chosen_and_chosen_again()
    {
        var etcd = _builder.AddEtcd("etcd", port: 12379);
        var endpoint = etcd.Resource.Annotations.OfType<EndpointAnnotation>().Single();
        Assert.Equal(12379, endpoint.Port);

        etcd.WithHostPort(22379);
        Assert.Equal(22379, endpoint.Port);

        etcd.WithHostPort(null);
        Assert.Null(endpoint.Port);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("data")]
    public async Task A_volume_is_where_etcd_keeps_its_data(string? name)
    {
        var etcd = _builder.AddEtcd("etcd").WithDataVolume(name).Resource;

        var mount = Assert.Single(etcd.Annotations.OfType<ContainerMountAnnotation>());
        Assert.Equal((ContainerMountType.Volume, false), (mount.Type, mount.IsReadOnly));
        Assert.Contains(name ?? "-etcd-data", mount.Source, StringComparison.Ordinal);
        Assert.Contains($"--data-dir={mount.Target}", await ArgumentsOfAsync(etcd));
    }

    [Fact]
    public async Task A_folder_is_where_etcd_keeps_its_data()
    {
        var etcd = _builder.AddEtcd("etcd").WithDataBindMount("data").Resource;

        var mount = Assert.Single(etcd.Annotations.OfType<ContainerMountAnnotation>());
        Assert.Equal((ContainerMountType.BindMount, Path.Combine(_builder.AppHostDirectory, "data")), (mount.Type, mount.Source));
        Assert.Contains($"--data-dir={mount.Target}", await ArgumentsOfAsync(etcd));
    }

    [Fact]
    public void The_connection_string_is_the_client_url_alone()
    {
        var etcd = _builder.AddEtcd("etcd").Resource;

        Assert.Equal("{etcd.bindings.http.url}", etcd.ConnectionStringExpression.ValueExpression);
        Assert.Equal(["Host", "Port", "Uri"], PropertiesOf(etcd).Keys);
        Assert.Equal("{etcd.bindings.http.url}", PropertiesOf(etcd)["Uri"].ValueExpression);
    }

    [Fact]
    public void With_authentication_the_connection_string_has_the_user_and_refers_to_a_generated_password()
    {
        var etcd = _builder.AddEtcd("etcd").WithAuth().Resource;

        Assert.Equal("Endpoints={etcd.bindings.http.url};Username=\"root\";Password=\"{etcd-password.value}\"", etcd.ConnectionStringExpression.ValueExpression);
        Assert.Equal(["Host", "Port", "Uri", "Username", "Password"], PropertiesOf(etcd).Keys);
        Assert.True(etcd.PasswordParameter!.Secret);
    }

    [Fact]
    public void User_and_password_can_be_parameters_of_the_application()
    {
        var user = _builder.AddParameter("user");
        var password = _builder.AddParameter("password", secret: true);

        var etcd = _builder.AddEtcd("etcd").WithAuth(user, password).Resource;

        Assert.Equal("Endpoints={etcd.bindings.http.url};Username=\"{user.value}\";Password=\"{password.value}\"", etcd.ConnectionStringExpression.ValueExpression);
        Assert.Equal("{user.value}", PropertiesOf(etcd)["Username"].ValueExpression);
    }

    [Fact]
    public async Task A_resource_that_refers_to_it_has_the_connection_string_of_its_name()
    {
        var etcd = _builder.AddEtcd("etcd");
        etcd.Resource.Allocate("localhost", 12379);
        var worker = _builder.AddExecutable("worker", "worker", ".").WithReference(etcd);
        await using var application = _builder.Build();

        var variables = await EnvironmentOfAsync(worker.Resource, application);

        Assert.Equal("http://localhost:12379", variables["ConnectionStrings__etcd"]);
        Assert.Equal(("localhost", "12379"), (variables["ETCD_HOST"], variables["ETCD_PORT"]));
    }

    private static Dictionary<string, ReferenceExpression> PropertiesOf(IResourceWithConnectionString resource)
        => new(resource.GetConnectionProperties());

    private static async Task<IReadOnlyList<string>> ArgumentsOfAsync(EtcdResource etcd)
    {
        var context = new CommandLineArgsCallbackContext([]);
        foreach (var annotation in etcd.Annotations.OfType<CommandLineArgsCallbackAnnotation>())
        {
            await annotation.Callback(context);
        }

        return [.. context.Args.Select(static a => (string)a)];
    }

    private static async Task<Dictionary<string, string?>> EnvironmentOfAsync(ExecutableResource resource, DistributedApplication application)
    {
        var context = new EnvironmentCallbackContext(
            application.Services.GetRequiredService<DistributedApplicationExecutionContext>(), resource);
        foreach (var annotation in resource.Annotations.OfType<EnvironmentCallbackAnnotation>())
        {
            await annotation.Callback(context);
        }

        Dictionary<string, string?> variables = [];
        foreach (var (name, value) in context.EnvironmentVariables)
        {
            variables[name] = value is IValueProvider provider ? await provider.GetValueAsync(default) : value.ToString();
        }

        return variables;
    }
}
