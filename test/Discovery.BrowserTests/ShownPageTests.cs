using Deque.AxeCore.Playwright;
using Discovery.BrowserTests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.Playwright;

namespace Discovery.BrowserTests;

/// <summary>The page as a browser shows it.</summary>
public sealed class ShownPageTests(Chromium chromium) : IClassFixture<Chromium>
{
    private const float Limit = 30_000;

    [Fact]
    public async Task The_page_follows_instances_and_calls_without_a_reload()
    {
        await using var application = await PageApplication.StartAsync();
        var first = await application.StartServerAsync();
        using var greeter = application.Greeter;
        await greeter.GetStringAsync("x");
        var page = await OpenAsync(application);
        await Expect(page.GetByRole(AriaRole.Cell, new() { Name = first.Address })).ToBeVisibleAsync();
        await page.EvaluateAsync("() => { window.isTheSame = true; }");

        var second = await application.StartServerAsync();
        await Expect(page.GetByRole(AriaRole.Cell, new() { Name = second.Address })).ToBeVisibleAsync();
        for (var i = 0; i < 20; i++)
        {
            await greeter.GetStringAsync("x");
        }

        await Expect(page.Locator("tr", new() { HasText = second.Address }).Locator("td[data-label=Calls]")).Not.ToHaveTextAsync("0");
        await application.DeregisterAsync("greeter", first.Address);
        await Expect(page.GetByRole(AriaRole.Cell, new() { Name = first.Address })).ToHaveCountAsync(0);
        await Expect(page.Locator("#changes li", new() { HasText = first.Address }).Filter(new() { HasText = "left" })).ToBeVisibleAsync();
        Assert.True(await page.EvaluateAsync<bool>("() => window.isTheSame"));
    }

    [Fact]
    public async Task Behind_a_proxy_that_strips_a_prefix_it_is_live_too()
    {
        await using var application = await PageApplication.StartAsync(static app =>
        {
            app.Use(static (context, next) =>
            {
                // What the proxy strips, the application never sees.
                context.Request.Path = context.Request.Path.StartsWithSegments("/operators", StringComparison.Ordinal, out var rest) ? rest : "/elsewhere";
                return next(context);
            });
            app.UseRouting();
            app.MapEtcdDiscovery();
        });
        var server = await application.StartServerAsync();
        using var greeter = application.Greeter;
        await greeter.GetStringAsync("x");
        var page = await chromium.Browser.NewPageAsync();

        await page.GotoAsync(application.App.Urls.First() + "/operators/discovery/");

        await Expect(page.GetByRole(AriaRole.Cell, new() { Name = server.Address })).ToBeVisibleAsync();
    }

    [Fact]
    public async Task What_a_record_says_stays_text()
    {
        await using var application = await PageApplication.StartAsync();
        var server = await application.StartServerAsync(
            "\"zone\":\"<script>window.wasRun = true</script>\",\"version\":\"<img src=x onerror='window.wasRun = true'>\","
            + "\"note\":\"\\u202egnp.exe\\u202c\",\"long\":\"" + new string('x', 10_000) + "\"");
        var page = await OpenAsync(application);
        List<string> violations = [];
        page.Console += (_, message) => violations.Add(message.Text);

        var row = page.Locator("tr", new() { HasText = server.Address });
        await Expect(row.Locator("td[data-label=Zone]")).ToHaveTextAsync("<script>window.wasRun = true</script>");

        Assert.False(await page.EvaluateAsync<bool>("() => window.wasRun === true"));
        Assert.Empty(violations);
        var size = await row.BoundingBoxAsync();
        Assert.InRange(size!.Height, 1, 400);
        Assert.True(await FitsAsync(page));
    }

    [Theory]
    [InlineData(ColorScheme.Light, 1280, "discovery-light.png")]
    [InlineData(ColorScheme.Dark, 1280, "discovery-dark.png")]
    [InlineData(ColorScheme.Light, 390, "discovery-phone.png")]
    public async Task Everybody_can_read_it(ColorScheme scheme, int width, string picture)
    {
        await using var application = await PageApplication.StartAsync();
        await application.StartServerAsync();
        await application.StartServerAsync("\"zone\":\"eu-2\",\"version\":\"2.1.0\",\"weight\":\"20\"");
        await application.StartServerAsync("\"zone\":\"eu-2\",\"version\":\"2.2.0\",\"draining\":\"true\"");
        await application.RegisterAsync("orders", "127.0.0.1:9");
        using var greeter = application.Greeter;
        using var orders = application.Orders;
        for (var i = 0; i < 60; i++)
        {
            await greeter.GetStringAsync("x");
        }

        for (var i = 0; i < 6; i++)
        {
            await Assert.ThrowsAsync<HttpRequestException>(() => orders.GetAsync("x"));
        }

        var page = await OpenAsync(application, scheme, width);
        await Expect(page.Locator("details", new() { HasText = "orders" }).GetByRole(AriaRole.Row)).ToHaveCountAsync(2);

        var findings = await page.RunAxe();
        Assert.Empty(findings.Violations.Select(v => $"{v.Id}: {v.Help} {string.Join(" ", v.Nodes.Select(n => n.Html))}"));
        Assert.True(await FitsAsync(page));
        var pictures = Path.Combine(AppContext.BaseDirectory, "pictures");
        await page.ScreenshotAsync(new() { Path = Path.Combine(pictures, picture), FullPage = true });
    }

    [Fact]
    public async Task Thousands_of_instances_stay_usable_and_the_keyboard_is_enough()
    {
        await using var application = await PageApplication.StartAsync();
        for (var i = 0; i < 3_000; i++)
        {
            await application.RegisterAsync("orders", $"127.1.{i / 250}.{(i % 250) + 1}:80");
        }

        var page = await OpenAsync(application);
        var details = page.Locator("details", new() { HasText = "orders" });
        await Expect(details.Locator("tbody tr")).ToHaveCountAsync(200);

        await page.GetByLabel("Filter").PressSequentiallyAsync("127.1.11.250:");
        await Expect(details.Locator("tbody tr")).ToHaveCountAsync(1);
        await page.GetByLabel("Filter").FillAsync("");
        await Expect(details.Locator("tbody tr")).ToHaveCountAsync(200);

        await details.Locator("summary").FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        await Expect(details).Not.ToHaveAttributeAsync("open", "");
    }

    private static ILocatorAssertions Expect(ILocator locator) => Assertions.Expect(locator);

    private static Task<bool> FitsAsync(IPage page)
        => page.EvaluateAsync<bool>("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth");

    private async Task<IPage> OpenAsync(PageApplication application, ColorScheme scheme = ColorScheme.Light, int width = 1280)
    {
        Assertions.SetDefaultExpectTimeout(Limit);
        var context = await chromium.Browser.NewContextAsync(new() { ColorScheme = scheme, ViewportSize = new() { Width = width, Height = 900 } });
        var page = await context.NewPageAsync();
        await page.GotoAsync(application.Page);
        await Expect(page.GetByRole(AriaRole.Status)).ToHaveTextAsync("live");
        return page;
    }
}
