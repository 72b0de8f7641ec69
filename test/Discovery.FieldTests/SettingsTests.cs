using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.FieldTests;

/// <summary>Settings that are wrong, as the start of an application reports them.</summary>
public sealed class SettingsTests
{
    [Theory]
    [InlineData("Etcd:Discovery:Policy", "Fastest")]
    [InlineData("Etcd:Discovery:Services:svc:Policy", "Fastest")]
    [InlineData("Etcd:Discovery:Services:svc:MaxConnectAttempts", "0")]
    [InlineData("Etcd:Discovery:Services:svc:Split:v2", "500")]
    [InlineData("Etcd:Discovery:Services:svc:Ejection:ConsecutiveFailures", "0")]
    public async Task A_wrong_setting_is_reported_by_the_name_that_it_has_in_the_settings(string setting, string value)
    {
        var e = await FailToStartAsync((setting, value));

        Assert.Contains($"{setting} is '{value}'", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Files_that_hold_no_certificates_fail_the_start_as_files_that_are_not_there()
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, "no certificate");
            var e = await FailToStartAsync(("Etcd:Tls:CaFile", file));
            Assert.Contains($"Etcd:Tls is not valid: the files of Etcd:Tls cannot be read: Etcd:Tls:CaFile '{file}' holds no PEM certificate", e.Message, StringComparison.Ordinal);

            using var certificates = new TestCertificates("authority");
            var (certificate, _) = certificates.IssuePem("client", "one");
            var (_, key) = certificates.IssuePem("client", "other");
            e = await FailToStartAsync(("Etcd:Tls:CertificateFile", certificate), ("Etcd:Tls:KeyFile", key));
            Assert.Contains($"Etcd:Tls:KeyFile '{key}' does not fit Etcd:Tls:CertificateFile '{certificate}'", e.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>The page looks at the registration from a timer, where what is thrown would end the process.</summary>
    [Fact]
    public async Task With_the_page_mapped_it_is_the_start_that_reports_a_wrong_setting()
    {
        var builder = CreateBuilder(("Etcd:Endpoints", "http://127.0.0.1"), ("Etcd:Registration:ServiceName", Field.Service));
        builder.Services.AddEtcdRegistration();
        await using var application = builder.Build();
        application.MapEtcdDiscovery();

        // A timer that is due at once is served by others than this thread.
        await Task.Delay(TimeSpan.FromMilliseconds(200));
        var e = await Assert.ThrowsAsync<OptionsValidationException>(() => application.StartAsync());

        Assert.Contains("Etcd:Endpoints", e.Message, StringComparison.Ordinal);
    }

    private static async Task<OptionsValidationException> FailToStartAsync(params (string Name, string Value)[] settings)
    {
        var builder = CreateBuilder(settings);
        builder.Services.AddHttpClient("client").AddEtcdDiscovery(Field.Service);
        await using var application = builder.Build();
        return await Assert.ThrowsAsync<OptionsValidationException>(() => application.StartAsync());
    }

    private static WebApplicationBuilder CreateBuilder(params (string Name, string Value)[] settings)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration["Etcd:Endpoints"] = $"https://{Field.DeadAddress(1)}";
        foreach (var (name, value) in settings)
        {
            builder.Configuration[name] = value;
        }

        return builder;
    }
}
