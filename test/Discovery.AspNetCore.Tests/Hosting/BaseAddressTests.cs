using Discovery.AspNetCore.Tests.Watching;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Tests.Hosting;

/// <summary>The base address that a client without one gets: the scheme is that of the settings, and not of gRPC clients alone.</summary>
public sealed class BaseAddressTests
{
    [Theory]
    [InlineData(null, "http://greeter/")]
    [InlineData("https", "https://greeter/")]
    public async Task It_has_the_scheme_of_the_settings_and_the_name_of_the_service(string? scheme, string expected)
        => Assert.Equal(expected, await BaseAddressAsync(scheme, static _ => { }));

    [Fact]
    public async Task One_that_the_application_sets_stays()
        => Assert.Equal("http://mine/", await BaseAddressAsync("https", static c => c.BaseAddress = new Uri("http://mine")));

    private static async Task<string> BaseAddressAsync(string? scheme, Action<HttpClient> configure)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IServiceSource>(new ModelEtcd());
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(
            scheme is null ? [] : [new("Etcd:Discovery:Services:greeter:Scheme", scheme)]).Build());
        services.AddHttpClient("client", configure).AddEtcdDiscovery("greeter");
        await using var provider = services.BuildServiceProvider();
        using var client = provider.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        return client.BaseAddress!.ToString();
    }
}
