using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Headers;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Net.Http.Headers;

namespace Discovery.AspNetCore.Diagnostics.Page;

/// <summary>The page, its data, and its events.</summary>
internal sealed class DiscoveryPage : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private static readonly Lazy<string> Html = new(ReadHtml);

    private readonly ChangeHistory _changes;
    private readonly DiscoveryReporter _reporter;
    private readonly TimeProvider _time;
    private readonly CancellationToken _stopping;

    public DiscoveryPage(IServiceProvider services)
    {
        _time = services.GetRequiredKeyedService<TimeProvider>(EtcdServiceKeys.TimeProvider);
        var lifetime = services.GetService<IHostApplicationLifetime>();
        _stopping = lifetime?.ApplicationStopping ?? CancellationToken.None;
        _changes = new ChangeHistory(_time);
        _reporter = new DiscoveryReporter(services, _changes, _time);

        // Not before the start, which says what is wrong with the settings.
        var started = lifetime?.ApplicationStarted ?? new CancellationToken(canceled: true);
        started.UnsafeRegister(static page => ((DiscoveryPage)page!).Follow(), this);
        _stopping.UnsafeRegister(static page => ((DiscoveryPage)page!).Dispose(), this);
    }

    public void Dispose() => _changes.Dispose();

    /// <summary>The page, or the same as JSON or text, as the request's Accept header or its <c>format</c> asks.</summary>
    public Task ShowAsync(HttpContext context)
    {
        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers.Vary = HeaderNames.Accept;
        context.Response.Headers.XContentTypeOptions = "nosniff";
        return FormatOf(context.Request) switch
        {
            "json" => WriteJsonAsync(context),
            "text" => WriteTextAsync(context),
            _ => WritePageAsync(context),
        };
    }

    /// <summary>The report once a second, as server-sent events, until the client or the application goes.</summary>
    public async Task StreamAsync(HttpContext context)
    {
        var query = ReportQuery.Parse(context.Request.Query, openAll: false);
        var response = context.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        response.Headers["X-Accel-Buffering"] = "no";
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _stopping);
        using var timer = new PeriodicTimer(Interval, _time);
        try
        {
            do
            {
                response.BodyWriter.Write("data: "u8);
                response.BodyWriter.Write(JsonSerializer.SerializeToUtf8Bytes(_reporter.Create(query), ReportJson.Default.DiscoveryReport));
                response.BodyWriter.Write("\n\n"u8);
                await response.BodyWriter.FlushAsync(ended.Token).ConfigureAwait(false);
            }
            while (await timer.WaitForNextTickAsync(ended.Token).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // The reader is gone, or the application stops: an open page must not hold it up.
        }
    }

    private void Follow() => _changes.Follow(_reporter);

    private static string? FormatOf(HttpRequest request)
    {
        if (request.Query.TryGetValue("format", out var format))
        {
            return format.ToString();
        }

        // The most wanted of what there is; a browser, and whoever accepts anything, gets the page.
        return new RequestHeaders(request.Headers).Accept
            .OrderByDescending(static a => a.Quality ?? 1)
            .Select(static a => a.MediaType.Value switch { "application/json" => "json", "text/plain" => "text", "text/html" or "*/*" => "html", _ => null })
            .FirstOrDefault(static f => f is not null);
    }

    private Task WriteJsonAsync(HttpContext context)
    {
        context.Response.ContentType = "application/json; charset=utf-8";
        var report = _reporter.Create(ReportQuery.Parse(context.Request.Query, openAll: true));
        return JsonSerializer.SerializeAsync(context.Response.Body, report, ReportJson.Default.DiscoveryReport, context.RequestAborted);
    }

    private Task WriteTextAsync(HttpContext context)
    {
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(
            ReportText.Write(_reporter.Create(ReportQuery.Parse(context.Request.Query, openAll: true))), context.RequestAborted);
    }

    /// <summary>The page runs its own script and style, told by a nonce, and loads nothing from anywhere: no record can add to it.</summary>
    private static Task WritePageAsync(HttpContext context)
    {
        var nonce = Convert.ToBase64String(RandomNumberGenerator.GetBytes(16));
        context.Response.ContentType = "text/html; charset=utf-8";
        context.Response.Headers.ContentSecurityPolicy = $"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
            + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        context.Response.Headers["Referrer-Policy"] = "no-referrer";
        return context.Response.WriteAsync(Html.Value.Replace("{{nonce}}", nonce, StringComparison.Ordinal), context.RequestAborted);
    }

    private static string ReadHtml()
    {
        using var stream = typeof(DiscoveryPage).Assembly.GetManifestResourceStream("Discovery.AspNetCore.Page.html")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
