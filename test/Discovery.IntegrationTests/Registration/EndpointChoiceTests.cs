using System.Net;
using System.Text.Json;
using Discovery.AspNetCore;
using Discovery.IntegrationTests.Etcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>Which endpoints of an application are registered, and what their records say.</summary>
public sealed class EndpointChoiceTests(OneNode node) : IClassFixture<OneNode>
{
    private const string GrpcAndWeb =
        "/Kestrel:Endpoints:Grpc:Url=http://127.0.0.1:0;/Kestrel:Endpoints:Grpc:Protocols=Http2;/Kestrel:Endpoints:Web:Url=http://127.0.0.1:0;";

    private readonly string _service = NewService();

    [Fact]
    public async Task A_grpc_and_a_web_endpoint_are_both_registered_and_say_what_they_speak()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, GrpcAndWeb + "Layout=EtcdNaming,OpenIm");

        Assert.Equal(ServiceRegistrationState.Registered, app.State);
        var records = (await client.RecordsAsync(_service)).ToDictionary(static r => r.Metadata().GetProperty("endpoint").GetString()!);
        Assert.Equal("h2", records["Grpc"].Metadata().GetProperty("protocols").GetString());
        Assert.Equal("h1", records["Web"].Metadata().GetProperty("protocols").GetString());
        Assert.All(records.Values, static r => Assert.Equal("http", r.Metadata().GetProperty("scheme").GetString()));

        // A record of OpenIM cannot say it, so it stands for what its readers speak.
        var openIm = Assert.Single((await client.ListAsync($"openim:///{_service}/")).Items);
        Assert.EndsWith(openIm.Key.Split('/')[^1], records["Grpc"].Key, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_code_configures_is_told_too()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, configure: builder => builder.WebHost.ConfigureKestrel(
            static kestrel => kestrel.Listen(IPAddress.Loopback, 0, static o => o.Protocols = HttpProtocols.Http2)));

        Assert.Equal("h2", Assert.Single(await client.RecordsAsync(_service)).Metadata().GetProperty("protocols").GetString());
    }

    [Fact]
    public async Task Two_endpoints_that_no_client_can_tell_apart_are_an_error_until_the_settings_choose()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint, _service, GrpcAndWeb + "/Kestrel:Endpoints:Shop:Url=http://127.0.0.1:0");

        Assert.Equal(ServiceRegistrationState.NoEndpoint, app.State);
        Assert.Empty(await client.RecordsAsync(_service));
        var error = Assert.Single(app.Log.At(LogLevel.Error));
        Assert.Contains("'Shop'", error, StringComparison.Ordinal);
        Assert.Contains("'Web'", error, StringComparison.Ordinal);
        Assert.Contains("Etcd:Registration:Endpoints", error, StringComparison.Ordinal);
        Assert.Contains(app.Registration.Status.LastError!, error, StringComparison.Ordinal);

        app.Reload("Endpoints:Web:Enabled=false");
        await app.ReachAsync(ServiceRegistrationState.Registered);
        Assert.Equal(["Grpc", "Shop"], (await client.RecordsAsync(_service)).Select(static r => r.Metadata().GetProperty("endpoint").GetString()).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("Layout", "Nonsense", "EtcdNaming")]
    [InlineData("TimeToLive", "00:00:00", "00:00:10")]
    [InlineData("Health:Interval", "-00:00:01", "00:00:05")]
    public async Task A_registration_that_is_switched_off_does_not_care_for_its_settings_and_runs_by_right_ones_once_it_is_on(string setting, string wrong, string right)
    {
        var healthy = false;
        await using var app = TestApp.Build(
            node.Etcd.Endpoint,
            _service,
            $"Enabled=false;FailFast=true;InstanceId=i1;{setting}={wrong}",
            b => b.Services.AddHealthChecks().AddCheck("db", () => healthy ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy(), ["ready"]));
        await app.StartAsync();
        await app.ReachAsync(ServiceRegistrationState.Disabled);

        app.Reload($"Enabled=true;{setting}={right}");
        await app.ReachAsync(ServiceRegistrationState.Unhealthy);
        healthy = true;
        await app.ReachAsync(ServiceRegistrationState.Registered);
        Assert.Equal("i1", app.Registration.Status.InstanceId);

        await app.StopAsync();
        Assert.Empty(app.Log.At(LogLevel.Error));
    }

    [Fact]
    public async Task With_fail_fast_it_fails_the_start()
    {
        await using var app = TestApp.Build(
            node.Etcd.Endpoint, _service, GrpcAndWeb + "/Kestrel:Endpoints:Shop:Url=http://127.0.0.1:0;FailFast=true");

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => app.StartAsync());
        Assert.Contains("Etcd:Registration:Endpoints", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_fail_fast_an_application_without_any_address_does_not_start()
    {
        await using var app = TestApp.Build(
            node.Etcd.Endpoint, _service, "FailFast=true", builder => builder.WebHost.UseUrls("http://unix:" + Path.Combine(Path.GetTempPath(), _service[..12])));

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => app.StartAsync());
        Assert.Contains("Etcd:Registration:AdvertisedUrls", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_endpoint_for_operators_is_not_registered_by_surprise()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint, _service, GrpcAndWeb.Replace("Web", "Metrics", StringComparison.Ordinal));

        Assert.Equal("Grpc", Assert.Single(await client.RecordsAsync(_service)).Metadata().GetProperty("endpoint").GetString());
        Assert.True(app.Log.Has(LogLevel.Information, "'Metrics'", "Etcd:Registration:Endpoints:Metrics:Enabled"));
    }

    [Theory]
    [InlineData("/Kestrel:Endpoints:Metrics:Url=http://*:0", "http://unix:socket", "a socket of this machine")]
    [InlineData("/Kestrel:Endpoints:Metrics:Url=http://*:0;/Kestrel:Endpoints:Web:Url=http://*:0;Endpoints:Web:Enabled=false", null, "'Web' (http")]
    public async Task Metrics_are_not_taken_for_the_service_where_its_own_endpoint_is_not_registered(string settings, string? socket, string told)
    {
        await using var client = node.Connect();
        var file = socket?.Replace("socket", Path.Combine(Path.GetTempPath(), _service[..12]), StringComparison.Ordinal);
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint, _service, settings + (file is null ? "" : $";/Kestrel:Endpoints:Web:Url={file}"));

        Assert.Equal(ServiceRegistrationState.NoEndpoint, app.State);
        Assert.Empty(await client.RecordsAsync(_service));
        var error = Assert.Single(app.Log.At(LogLevel.Error));
        Assert.Contains("'Metrics' (http", error, StringComparison.Ordinal);
        Assert.Contains(told, error, StringComparison.Ordinal);
        Assert.Contains("Etcd:Registration:Endpoints:<name>:Enabled", error, StringComparison.Ordinal);

        app.Reload("Endpoints:Metrics:Enabled=true");
        await app.ReachAsync(ServiceRegistrationState.Registered);
        Assert.Equal("Metrics", Assert.Single(await client.RecordsAsync(_service)).Metadata().GetProperty("endpoint").GetString());
    }

    [Fact]
    public async Task A_service_that_no_endpoint_is_left_for_is_told_of_beside_one_that_has_its_own()
    {
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint,
            _service,
            $"/Kestrel:Endpoints:Metrics:Url=http://*:0;/Kestrel:Endpoints:Web:Url=http://unix:{Path.Combine(Path.GetTempPath(), _service[..12])};"
            + $"Services:{_service}m:Endpoints:0=Metrics");

        Assert.StartsWith($"services/{_service}m/", Assert.Single(app.Keys), StringComparison.Ordinal);
        Assert.True(app.Log.Has(LogLevel.Warning, $"The service '{_service}' is not registered", "a socket of this machine"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("ServiceName=;")]
    public async Task A_service_whose_own_endpoint_is_switched_off_is_told_so(string settings)
    {
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint, _service, GrpcAndWeb + settings + $"Endpoints:Grpc:Enabled=false;Services:{_service}g:Endpoints:0=Grpc");

        Assert.Equal(settings.Length == 0 ? ServiceRegistrationState.Registered : ServiceRegistrationState.NoEndpoint, app.State);
        Assert.True(app.Log.Has(settings.Length == 0 ? LogLevel.Warning : LogLevel.Error, "'Grpc' (http", "is switched off by Etcd:Registration:Endpoints:Grpc:Enabled."));
        Assert.False(app.Log.Has(LogLevel.Warning, "names 'Grpc'"));
    }

    [Fact]
    public async Task An_advertised_host_stands_for_no_endpoint_on_loopback_beside_others()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint,
            _service,
            $"/Kestrel:Endpoints:Web:Url=http://*:0;/Kestrel:Endpoints:Tools:Url=http://localhost:{FreePort.Next()};AdvertisedHost=10.1.2.3");

        Assert.Equal("Web", Assert.Single(await client.RecordsAsync(_service)).Metadata().GetProperty("endpoint").GetString());
        Assert.StartsWith($"services/{_service}/10.1.2.3:", Assert.Single(app.Keys), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Endpoints_that_do_not_exist_are_a_state_of_their_own()
    {
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, $"Services:{_service}:Endpoints:0=Grpc");

        Assert.Equal(ServiceRegistrationState.NoEndpoint, app.State);
        Assert.Contains("names 'Grpc', but the endpoints are: http.", Assert.Single(app.Log.At(LogLevel.Error)), StringComparison.Ordinal);
        Assert.Contains("'Grpc'", app.Registration.Status.LastError, StringComparison.Ordinal);
        Assert.Contains("NoEndpoint", JsonSerializer.Serialize(app.Registration.Status), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Grcp", true)]
    [InlineData("Metrics", false)]
    public async Task An_endpoint_that_is_switched_off_and_does_not_exist_is_told_unless_it_is_for_operators(string name, bool isTold)
    {
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, GrpcAndWeb + $"Endpoints:{name}:Enabled=false");

        Assert.Equal(2, app.Keys.Count);
        Assert.Equal(isTold, app.Log.Has(LogLevel.Warning, $"Etcd:Registration:Endpoints names '{name}', but the endpoints are: Grpc, Web."));
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("/Kestrel:EndpointDefaults:Protocols=Http2", false)]
    [InlineData(GrpcAndWeb, false)]
    public async Task A_grpc_service_that_no_call_can_reach_is_told_of_with_the_setting_to_write(string settings, bool isTold)
    {
        await using var app = TestApp.Build(node.Etcd.Endpoint, _service, settings, static builder => builder.Services.AddGrpc());
        app.Map(static routes => routes.MapGrpcService<Interop.InteropService>());
        await app.StartAsync();
        await app.SettleAsync();

        Assert.Equal(isTold, app.Log.Has(LogLevel.Warning, "Kestrel:EndpointDefaults:Protocols to Http2", "'http'"));
        Assert.Equal(ServiceRegistrationState.Registered, app.State);
    }

    [Theory]
    [InlineData("Grpc", "http://127.0.0.1:0", "", true)]
    [InlineData("Admin", "http://*:0", "", true)]
    [InlineData("Internal", "http://*:0", "", false)]
    [InlineData("Admin", "http://*:0", "Endpoints:Admin:Enabled=true", false)]
    [InlineData("Admin", "http://*:0", "Endpoints:Admin:Enabled=false", false)]
    [InlineData("Admin", "http://*:0", "Services:other:Endpoints=Admin", false)]
    [InlineData("Admin", "http://*:0", "AdvertisedUrls=https://shop.example", false)]
    public async Task A_grpc_service_whose_endpoint_is_left_out_is_told_of_with_the_setting_that_registers_it(string name, string url, string settings, bool isTold)
    {
        await using var app = TestApp.Build(
            node.Etcd.Endpoint,
            _service,
            $"/Kestrel:Endpoints:{name}:Url={url};/Kestrel:Endpoints:{name}:Protocols=Http2;/Kestrel:Endpoints:Web:Url=http://*:0;{settings}",
            static builder => builder.Services.AddGrpc());
        app.Map(static routes => routes.MapGrpcService<Interop.InteropService>());
        await app.StartAsync();
        await app.SettleAsync();

        Assert.Equal(isTold, app.Log.Has(LogLevel.Warning, $"'{name}' (http", "so every gRPC call by name will fail", $"Etcd:Registration:Endpoints:{name}:Enabled"));
        Assert.Equal(isTold, app.Log.Has(LogLevel.Warning, "gRPC"));
        Assert.Equal(ServiceRegistrationState.Registered, app.State);
    }

    [Fact]
    public async Task A_grpc_health_service_on_an_endpoint_for_operators_is_meant_to_be_there()
    {
        await using var app = TestApp.Build(
            node.Etcd.Endpoint,
            _service,
            "/Kestrel:Endpoints:Health:Url=http://*:0;/Kestrel:Endpoints:Health:Protocols=Http2;/Kestrel:Endpoints:Web:Url=http://*:0",
            static builder =>
            {
                builder.Services.AddGrpc();
                builder.Services.AddGrpcHealthChecks();
            });
        app.Map(static routes => routes.MapGrpcHealthChecksService());
        await app.StartAsync();
        await app.SettleAsync();

        Assert.False(app.Log.Has(LogLevel.Warning, "gRPC"));
        Assert.Equal(ServiceRegistrationState.Registered, app.State);
    }

    [Fact]
    public async Task Without_grpc_nothing_is_told_of()
    {
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service);

        Assert.False(app.Log.Has(LogLevel.Warning, "gRPC"));
    }
}
