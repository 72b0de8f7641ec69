using System.Net;
using Discovery.AspNetCore;
using Discovery.IntegrationTests.Etcd;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>What ASP.NET Core's host filtering makes of calls by name, and what the application is told.</summary>
public sealed class AllowedHostsTests(OneNode node) : IClassFixture<OneNode>
{
    private readonly string _service = NewService();

    [Theory]
    [InlineData(null, true)]
    [InlineData("*", true)]
    [InlineData("shop.example.com;*", true)]
    [InlineData("shop.example.com;SERVICE", true)]
    [InlineData("shop.example.com", false)]
    [InlineData("*.SERVICE", false)]
    public async Task A_server_that_refuses_calls_by_name_says_so(string? allowed, bool isAnswered)
    {
        allowed = allowed?.Replace("SERVICE", _service, StringComparison.Ordinal);
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, configure: b => b.Configuration["AllowedHosts"] = allowed);

        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, app.Url) { Headers = { Host = _service } };
        using var response = await client.SendAsync(request);

        Assert.Equal(isAnswered ? HttpStatusCode.OK : HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(!isAnswered, app.Log.Has(LogLevel.Warning, $"AllowedHosts is '{allowed}'. Set AllowedHosts to '{allowed};{_service}'."));
        Assert.Equal(ServiceRegistrationState.Registered, app.State);
    }

    [Fact]
    public async Task Only_names_of_services_that_are_refused_are_told_as_hosts()
    {
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint, _service, $"/AllowedHosts={_service};Services:{_service}b:Weight=5;Services:{_service}_c:Weight=5");

        Assert.True(app.Log.Has(LogLevel.Warning, $"Calls by name have the host {_service}b, {_service}-c,"));
    }
}
