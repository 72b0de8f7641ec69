using Discovery.Etcd.Configuration;
using Microsoft.Extensions.Configuration;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>A configuration that is required does not wait for a refusal to pass by itself.</summary>
public sealed class ConfigurationRefusalTests(AuthNode node) : IClassFixture<AuthNode>
{
    [Theory]
    [InlineData("app/", "app", "wrong", "Check Etcd:Username, which is 'app', and Etcd:Password.")]
    [InlineData("app/", "nobody", "wrong", "Check Etcd:Username, which is 'nobody', and Etcd:Password.")]
    [InlineData("app/", null, null, "The cluster has authentication enabled")]
    [InlineData("other/", "app", AuthNode.Password, "No role of the user 'app' allows it")]
    public async Task A_refusal_fails_the_start_at_once_and_says_why(string prefix, string? user, string? password, string cause)
    {
        using var configuration = new ConfigurationManager();
        configuration["Etcd:Endpoints"] = node.Endpoint;
        configuration["Etcd:Username"] = user;
        configuration["Etcd:Password"] = password;

        var load = Task.Run(() => configuration.AddEtcd(prefix, static o => o.ReadyTimeout = TimeSpan.FromMinutes(10)));
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => load.WaitAsync(TimeSpan.FromMinutes(1)));

        Assert.Contains(cause, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(nameof(EtcdConfigurationOptions.ReadyTimeout), error.Message, StringComparison.Ordinal);
    }
}
