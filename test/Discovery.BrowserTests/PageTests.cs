using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Discovery.BrowserTests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.BrowserTests;

/// <summary>The page without a browser.</summary>
public sealed class PageTests
{
    [Fact]
    public async Task As_json_it_tells_where_calls_go_and_who_is_registered()
    {
        await using var application = await PageApplication.StartAsync();
        var server = await application.StartServerAsync();
        using var greeter = application.Greeter;
        await greeter.GetStringAsync("x");
        await greeter.GetStringAsync("x");

        using var report = JsonDocument.Parse(await GetAsync(application.Page, "application/json"));

        var row = report.RootElement.GetProperty("details").EnumerateArray().Single(static d => d.GetProperty("id").GetString() == "greeter")
            .GetProperty("rows").EnumerateArray().Single();
        Assert.Equal((server.Address, "ready", 2L, 1.0, "eu-1", "2.1.0"), (
            row.GetProperty("address").GetString(),
            row.GetProperty("state").GetString(),
            row.GetProperty("calls").GetInt64(),
            row.GetProperty("share").GetDouble(),
            row.GetProperty("zone").GetString(),
            row.GetProperty("version").GetString()));
        Assert.True(report.RootElement.GetProperty("endpoints")[0].GetProperty("calls").GetBoolean());
        Assert.Contains("services/shop/", report.RootElement.GetProperty("registrations")[0].GetProperty("keys")[0].GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task As_text_it_is_a_table_that_no_record_can_bend()
    {
        await using var application = await PageApplication.StartAsync();
        var server = await application.StartServerAsync("\"zone\":\"a\\u001b[31mb\\nc\\u202ed\"");
        using var greeter = application.Greeter;
        await greeter.GetStringAsync("x");

        var text = await GetAsync(application.Page, "text/plain");

        Assert.Contains($"  {server.Address}", text, StringComparison.Ordinal);
        Assert.Contains(@"a\u001b[31mb\u000ac\u202ed", text, StringComparison.Ordinal);
        Assert.Contains("REGISTRATION Registered", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_page_allows_no_script_but_its_own()
    {
        await using var application = await PageApplication.StartAsync();
        using var client = new HttpClient();

        using var first = await client.GetAsync(application.Page);
        using var second = await client.GetAsync(application.Page);

        var policy = first.Headers.GetValues("Content-Security-Policy").Single();
        Assert.StartsWith("default-src 'none'; script-src 'nonce-", policy, StringComparison.Ordinal);
        Assert.NotEqual(policy, second.Headers.GetValues("Content-Security-Policy").Single());
        Assert.DoesNotContain("{{", await first.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("/events")]
    public async Task Its_conventions_hold_for_all_its_routes(string route)
    {
        await using var application = await PageApplication.StartAsync(static app => app.MapEtcdDiscovery("/inside").RequireHost("operators.test"));
        using var client = new HttpClient();
        var address = application.App.Urls.First() + "/inside" + route;

        using var others = await client.GetAsync(address);
        using var request = new HttpRequestMessage(HttpMethod.Get, address) { Headers = { Host = "operators.test" } };
        using var operators = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);

        Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.OK), (others.StatusCode, operators.StatusCode));
    }

    [Fact]
    public async Task An_open_page_does_not_hold_up_the_end()
    {
        var application = await PageApplication.StartAsync();
        using var client = new HttpClient();
        await using var stream = await client.GetStreamAsync(application.Page + "/events");
        _ = await stream.ReadAtLeastAsync(new byte[5], 5);

        var clock = Stopwatch.StartNew();
        await application.App.StopAsync();

        // The host would cut it off after 30 s.
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(20));
        await application.DisposeAsync();
    }

    [Fact]
    public async Task Without_registration_and_discovery_it_says_what_to_add()
    {
        await using var app = WebApplication.CreateSlimBuilder().Build();

        var e = Assert.Throws<InvalidOperationException>(() => app.MapEtcdDiscovery());

        Assert.Equal("MapEtcdDiscovery has nothing to show: call AddEtcdRegistration or AddEtcdDiscovery on the builder's Services first.", e.Message);
    }

    private static async Task<string> GetAsync(string page, string accept)
    {
        using var client = new HttpClient();
        client.DefaultRequestHeaders.Add("Accept", accept);
        return await client.GetStringAsync(page);
    }
}
