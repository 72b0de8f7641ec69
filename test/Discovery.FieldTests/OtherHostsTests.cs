using System.Net;
using System.Net.Security;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>Requests whose URI or headers name another host than the service's.</summary>
public sealed class OtherHostsTests
{
    [Fact]
    public async Task A_request_to_another_host_is_refused_with_the_setting_that_allows_it()
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync(static c => c.Response.WriteAsync($"{c.Request.Host} {c.Request.Headers.Authorization}"));
        using var client = field.Client();
        client.DefaultRequestHeaders.Authorization = new("Bearer", "secret");

        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => client.GetAsync(new Uri("http://login.example.com/token")));

        Assert.Contains("'login.example.com'", e.Message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Discovery:AllowOtherHosts", e.Message, StringComparison.Ordinal);
        Assert.Equal(0, server.Requests);
        Assert.Equal("svc Bearer secret", await client.GetStringAsync(new Uri("http://SVC/x")));

        using var open = field.Client(o => o.AllowOtherHosts = true);
        Assert.Equal("login.example.com ", await open.GetStringAsync(new Uri("http://login.example.com/token")));
    }

    [Fact]
    public async Task A_scheme_that_only_other_packages_know_is_refused_with_what_to_set()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync();
        var services = field.Application(static s => s.AddHttpClient("client", static c => c.BaseAddress = new Uri("https+http://svc")).AddEtcdDiscovery(Field.Service));
        using var client = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");

        var e = await Assert.ThrowsAsync<NotSupportedException>(() => client.GetStringAsync("x"));

        Assert.Contains("'https+http'", e.Message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Discovery:Scheme", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_host_of_the_base_address_stands_for_the_service()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(static c => c.Response.WriteAsync(c.Request.Host.Value!));
        using var client = field.Client(configure: b => b.ConfigureHttpClient(static c => c.BaseAddress = new Uri("http://api.example.com/v1/")));

        Assert.Equal("api.example.com", await client.GetStringAsync("x"));
    }

    [Fact]
    public async Task A_host_header_does_not_choose_the_certificate_that_is_accepted()
    {
        await using var field = await Field.StartAsync();
        using var certificates = new TestCertificates("authority");
        using var certificate = certificates.Issue("svc");
        string? sni = null;
        await field.StartServerAsync(
            protocols: HttpProtocols.Http1,
            listen: l => l.UseHttps(https => https.ServerCertificateSelector = (_, name) =>
            {
                sni = name;
                return certificate;
            }),
            metadata: "\"scheme\":\"https\"");
        using var client = field.Client(
            o => (o.Scheme, o.ConnectTimeout) = ("https", TimeSpan.FromSeconds(30)),
            b => b.ConfigureEtcdTransport(t => t.SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = static (_, _, _, errors) => !errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch) }));
        using var request = new HttpRequestMessage(HttpMethod.Get, "x") { Headers = { Host = "attacker.example.com" } };

        using var response = await client.SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("svc", sni);
    }

    [Fact]
    public async Task A_certificate_for_another_name_is_told_with_the_name_that_was_wanted_and_the_setting()
    {
        await using var field = await Field.StartAsync();
        using var certificates = new TestCertificates("authority");
        using var certificate = certificates.Issue("localhost");
        await field.StartServerAsync(listen: l => l.UseHttps(certificate), metadata: "\"scheme\":\"https\"");
        using var client = field.Client(o => (o.Scheme, o.ConnectTimeout) = ("https", TimeSpan.FromSeconds(30)));

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));

        foreach (var fragment in new[] { "RemoteCertificateNameMismatch", "'svc'", "Etcd:Discovery:TlsTargetHost" })
        {
            Assert.Contains(fragment, e.Message, StringComparison.Ordinal);
            Assert.Contains(field.Log.Lines, l => l.Contains(fragment, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Requests_for_http_3_go_by_http_2()
    {
        await using var field = await Field.StartAsync();
        using var certificates = new TestCertificates("authority");
        using var certificate = certificates.Issue("svc");
        await field.StartServerAsync(
            static c =>
            {
                c.Response.Headers.AltSvc = "h3=\":443\"; ma=86400";
                return c.Response.WriteAsync(c.Request.Protocol);
            },
            HttpProtocols.Http1AndHttp2,
            l => l.UseHttps(certificate),
            "\"scheme\":\"https\"");
        using var client = field.Client(
            o => (o.Scheme, o.ConnectTimeout) = ("https", TimeSpan.FromSeconds(30)),
            b => b.ConfigureEtcdTransport(t => t.SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = static (_, _, _, _) => true }));

        foreach (var (version, policy) in new[]
        {
            (HttpVersion.Version30, HttpVersionPolicy.RequestVersionExact),
            (HttpVersion.Version30, HttpVersionPolicy.RequestVersionOrLower),
            (HttpVersion.Version11, HttpVersionPolicy.RequestVersionOrHigher),
            (HttpVersion.Version20, HttpVersionPolicy.RequestVersionOrHigher),
        })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "x") { Version = version, VersionPolicy = policy };
            using var response = await client.SendAsync(request);

            Assert.Equal("HTTP/2", await response.Content.ReadAsStringAsync());
            Assert.NotEqual(HttpVersionPolicy.RequestVersionOrHigher, request.VersionPolicy);
        }
    }
}
