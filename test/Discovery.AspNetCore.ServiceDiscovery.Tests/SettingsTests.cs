using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.ServiceDiscovery;

namespace Discovery.AspNetCore.ServiceDiscovery.Tests;

public sealed class SettingsTests : DirectoryTestBase
{
    [Theory]
    [InlineData("MinChangeInterval", "-00:00:01")]
    [InlineData("MinChangeInterval", "1.00:00:00")]
    [InlineData("ServiceNames:user", "a/b")]
    [InlineData("ServiceNames:a b", "user")]
    [InlineData("WhenEmpty", "7")]
    public void A_wrong_setting_is_named_with_its_value(string setting, string value)
    {
        Settings[$"Etcd:ServiceDiscovery:{setting}"] = value;

        var failure = Assert.Throws<OptionsValidationException>(() => Services.GetRequiredService<IStartupValidator>().Validate());

        Assert.Contains($"Etcd:ServiceDiscovery:{setting} is '{value}'", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("WhenEmpty", "Nope", "FallThrough or Fail")]
    [InlineData("Enabled", "on", "true or false")]
    [InlineData("MinChangeInterval", "soon", "a time, e.g. 00:00:00.1")]
    public void A_setting_that_cannot_be_read_is_named_with_what_can(string setting, string value, string valid)
    {
        Settings[$"Etcd:ServiceDiscovery:{setting}"] = value;

        var failure = Assert.Throws<InvalidOperationException>(() => Services.GetRequiredService<IStartupValidator>().Validate());

        Assert.Equal($"Etcd:ServiceDiscovery:{setting} is '{value}'; it must be {valid}.", failure.Message);
    }

    [Fact]
    public async Task A_mistyped_setting_is_warned_of_and_a_right_one_is_not()
    {
        Settings["Etcd:ServiceDiscovery:WhenEmty"] = "Fail";
        Settings["Etcd:ServiceDiscovery:ServiceNames:people"] = "User";

        foreach (var hosted in Services.GetServices<IHostedService>())
        {
            await hosted.StartAsync(CancellationToken.None);
        }

        Assert.Contains("WhenEmpty", Assert.Single(Log.At(LogLevel.Warning)), StringComparison.Ordinal);
    }

    [Fact]
    public void What_code_sets_wins_whenever_it_was_set()
    {
        Settings["Etcd:ServiceDiscovery:WhenEmpty"] = "Fail";
        Configure = static s => s.AddEtcdServiceEndpointProvider(static o => o.WhenEmpty = EmptyServiceBehavior.FallThrough);

        Assert.Equal(EmptyServiceBehavior.FallThrough, Services.GetRequiredService<IOptions<EtcdServiceEndpointProviderOptions>>().Value.WhenEmpty);
    }

    [Fact]
    public void Adding_it_twice_adds_one_provider()
    {
        Configure = static s => s.AddEtcdServiceEndpointProvider();

        Assert.Single(Services.GetServices<IServiceEndpointProviderFactory>(), static f => f.GetType().Name.StartsWith("Etcd", StringComparison.Ordinal));
    }

    [Fact]
    public void No_public_name_is_ambiguous_beside_Microsoft_Extensions_ServiceDiscovery()
    {
        Type[] ours = [.. typeof(InstanceState).Assembly.GetExportedTypes(), .. typeof(IServiceInstanceFeature).Assembly.GetExportedTypes()];
        Type[] theirs = [.. typeof(ServiceEndpoint).Assembly.GetExportedTypes(), .. typeof(ServiceEndpointResolver).Assembly.GetExportedTypes()];

        Assert.Empty(ours.Select(t => t.Name).Intersect(theirs.Select(t => t.Name), StringComparer.Ordinal));
    }
}
