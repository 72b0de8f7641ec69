using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Discovery.AspNetCore;
using Discovery.AspNetCore.Registration.Addresses;
using Discovery.Etcd;
using Discovery.IntegrationTests.Etcd;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>What a real Kestrel is bound to, and what is advertised for it: each address is dialled.</summary>
public sealed class KestrelMatrixTests(OneNode node) : IClassFixture<OneNode>
{
    private static readonly X509Certificate2 Certificate = CreateCertificate();

    private readonly string _service = NewService();

    /// <summary>Whether this machine has an address beyond loopback.</summary>
    private static bool HasOwnAddress { get; } =
        new LocalAddresses().All.Any(a => a.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(a));

    [Theory]
    [InlineData("http://localhost:port", "127.0.0.1")]
    [InlineData("http://127.0.0.1:0", "127.0.0.1")]
    [InlineData("http://[::1]:0", "[::1]")]
    [InlineData("https://localhost:port", "127.0.0.1")]
    [InlineData("http://shop.dev.localhost:port", "127.0.0.1")]
    public async Task What_is_bound_to_loopback_is_advertised_with_a_warning_where_etcd_is_on_loopback_too(string url, string host)
    {
        await using var app = await StartAsync(url);

        var address = Assert.Single(await DialAllAsync());
        Assert.StartsWith(url[..url.IndexOf(':', StringComparison.Ordinal)] + "://" + host + ":", address, StringComparison.Ordinal);
        Assert.Single(app.Log.At(LogLevel.Warning), line => line.Contains("PreferredNetworks", StringComparison.Ordinal)
            && line.Contains("AdvertisedHost", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("http://*:0")]
    [InlineData("http://[::]:0")]
    [InlineData("http://0.0.0.0:port")]
    [InlineData("http://0.0.0.0:0")]
    [InlineData("https://*:0")]
    [InlineData("http://shop.localhost.:port")]
    public async Task What_is_bound_to_all_addresses_is_advertised_beyond_loopback_although_etcd_is_reached_by_it(string url)
    {
        await using var app = await StartAsync(url);

        var address = new Uri(Assert.Single(await DialAllAsync()));
        Assert.Equal(url[..url.IndexOf(':', StringComparison.Ordinal)], address.Scheme);
        Assert.Equal(!HasOwnAddress, address.IsLoopback);
        Assert.Equal(!HasOwnAddress, app.Log.Has(LogLevel.Warning, "PreferredNetworks"));
    }

    [Theory]
    [InlineData("http://*:0")]
    [InlineData("http://0.0.0.0:0")]
    [InlineData("https://[::]:0")]
    public async Task Beyond_loopback_the_machines_own_address_is_advertised_and_can_be_dialled(string url)
    {
        await using var app = await StartAsync(url, "AllowLoopback=false");

        if (HasOwnAddress)
        {
            Assert.DoesNotContain("127.0.0.1", Assert.Single(await DialAllAsync()), StringComparison.Ordinal);
        }
        else
        {
            Assert.Equal(ServiceRegistrationState.NoAddress, app.State);
            Assert.True(app.Log.Has(LogLevel.Error, "not registered", "AdvertisedHost"));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("PreferredNetworks=::1/128")]
    [InlineData("Endpoints:http:Enabled=true")]
    public async Task A_port_that_is_bound_to_two_addresses_has_one_record_unless_the_settings_name_it(string settings)
    {
        await using var app = await StartAsync("http://[::1]:port;http://127.0.0.1:port", settings);

        var hosts = (await DialAllAsync()).Select(static a => new Uri(a).Host).Order(StringComparer.Ordinal);

        // Of the two the route towards etcd has the second.
        Assert.Equal(settings switch { "" => ["127.0.0.1"], "Endpoints:http:Enabled=true" => ["127.0.0.1", "[::1]"], _ => ["[::1]"] }, hosts);
    }

    [Fact]
    public async Task Two_endpoints_are_advertised_by_name_scheme_and_metadata_even_with_ports_of_the_systems_choice()
    {
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint,
            _service,
            "/Kestrel:Endpoints:Web:Url=http://127.0.0.1:0;/Kestrel:Endpoints:Admin:Url=http://127.0.0.1:0;"
            + "/Kestrel:Endpoints:Local:Url=http://unix:" + Path.Combine(Path.GetTempPath(), _service[..12]) + ";"
            + "Endpoints:Web:Metadata:for=people;Endpoints:Admin:Metadata:for=operators");

        await using var client = node.Connect();
        var byUse = (await client.RecordsAsync(_service)).ToDictionary(r => r.Metadata().GetProperty("for").GetString()!, r => r.Key);
        var bound = Microsoft.AspNetCore.Http.BindingAddress.Parse(app.Url);
        Assert.Equal(2, (await DialAllAsync()).Count);

        // Kestrel binds in the order of the configuration, which is that of the names.
        Assert.Equal($"services/{_service}/127.0.0.1:{bound.Port}", byUse["operators"]);
        Assert.NotEqual(byUse["operators"], byUse["people"]);
        Assert.True(app.Log.Has(LogLevel.Information, "http://unix:", "not registered"));
    }

    [Fact]
    public async Task An_endpoint_that_Kestrel_moves_when_its_settings_are_edited_is_advertised_where_it_is_then()
    {
        var moved = FreePort.Next();
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint, _service, $"/Kestrel:Endpoints:Web:Url=http://127.0.0.1:{FreePort.Next()}");
        Assert.NotEqual($"http://127.0.0.1:{moved}", Assert.Single(await DialAllAsync()));

        app.Reload($"/Kestrel:Endpoints:Web:Url=http://127.0.0.1:{moved}");

        await using var client = node.Connect();
        await Eventually.IsTrue(async () => await client.RecordsAsync(_service) is [var only] && only.Key.EndsWith($":{moved}", StringComparison.Ordinal));
        Assert.Equal($"http://127.0.0.1:{moved}", Assert.Single(await DialAllAsync()));
    }

    [Fact]
    public async Task An_endpoint_whose_protocols_are_edited_is_advertised_by_what_it_speaks_then()
    {
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint, _service, $"/Kestrel:Endpoints:Grpc:Url=http://127.0.0.1:{FreePort.Next()}");
        await using var client = node.Connect();
        Assert.Equal("h1", await ProtocolsAsync());

        app.Reload("/Kestrel:Endpoints:Grpc:Protocols=Http2");

        await Eventually.IsTrue(async () => await ProtocolsAsync() == "h2");

        async Task<string?> ProtocolsAsync()
            => Assert.Single(await client.RecordsAsync(_service)).Metadata().GetProperty("protocols").GetString();
    }

    [Fact]
    public async Task Endpoints_with_ports_of_the_systems_choice_keep_their_names_when_Kestrel_binds_one_again()
    {
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint,
            _service,
            "/Kestrel:Endpoints:Api:Url=http://127.0.0.1:0;/Kestrel:Endpoints:Web:Url=http://127.0.0.1:0;"
            + "Endpoints:Api:Enabled=true;Endpoints:Web:Enabled=true");
        await using var client = node.Connect();
        Assert.Equal(["Api h1", "Web h1"], await SpokenAsync());

        app.Reload("/Kestrel:Endpoints:Api:Protocols=Http2");

        await Eventually.IsTrue(async () => (await SpokenAsync()).SequenceEqual(["Api h2", "Web h1"]));

        async Task<IEnumerable<string>> SpokenAsync() => (await client.RecordsAsync(_service)).Select(static r => r.Metadata())
            .Select(static m => $"{m.GetProperty("endpoint")} {m.GetProperty("protocols")}").Order(StringComparer.Ordinal);
    }

    [Fact]
    public async Task Http_and_https_are_advertised_side_by_side()
    {
        await using var app = await StartAsync("http://127.0.0.1:0;https://127.0.0.1:0");

        Assert.Equal(["http", "https"], (await DialAllAsync()).Select(a => new Uri(a).Scheme).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_unix_socket_alone_is_not_registered_and_says_so()
    {
        await using var app = await StartAsync("http://unix:" + Path.Combine(Path.GetTempPath(), _service[..12]));

        Assert.Equal(ServiceRegistrationState.NoAddress, app.State);
        Assert.True(app.Log.Has(LogLevel.Information, "http://unix:", "not registered"));
        Assert.True(app.Log.Has(LogLevel.Warning, "AdvertisedUrls"));
    }

    [Theory]
    [InlineData("http://*:0")]
    [InlineData("http://[::]:0")]
    [InlineData("http://0.0.0.0:port")]
    [InlineData("http://localhost:port")]
    [InlineData("https://*:0")]
    [InlineData("http://unix:socket")]
    public async Task A_url_that_is_set_wins_over_each(string url)
    {
        await using var app = await StartAsync(
            url.Replace("socket", Path.Combine(Path.GetTempPath(), _service[..12]), StringComparison.Ordinal),
            "InstanceId=i1;AdvertisedUrls=https://shop.example:8443,http://10.1.2.3");

        Assert.Equal([$"services/{_service}/10.1.2.3:80/i1", $"services/{_service}/shop.example:8443/i1"], app.Keys);
        await using var client = node.Connect();
        Assert.Equal(["http", "https"], (await client.RecordsAsync(_service)).Select(r => r.Metadata().GetProperty("scheme").GetString()));
    }

    [Theory]
    [InlineData("http://*:port")]
    [InlineData("http://[::]:port")]
    [InlineData("http://0.0.0.0:port")]
    [InlineData("http://localhost:port")]
    [InlineData("http://127.0.0.1:port")]
    public async Task A_published_port_and_host_are_advertised_and_lead_to_it(string url)
    {
        var port = FreePort.Next();
        await using var published = TcpProxy.Start(port);
        await using var app = await StartAsync(
            url.Replace("port", $"{port}", StringComparison.Ordinal), $"AdvertisedHost=localhost;AdvertisedPort={published.Port}");

        Assert.Equal($"http://localhost:{published.Port}", Assert.Single(await DialAllAsync()));
        Assert.Equal(1, published.Accepted);
    }

    private static X509Certificate2 CreateCertificate()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var now = TimeProvider.System.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pfx), password: null);
    }

    private Task<TestApp> StartAsync(string urls, string settings = "")
        => TestApp.StartAsync(node.Etcd.Endpoint, _service, settings, builder => builder.WebHost
            .UseUrls(urls.Replace("port", $"{FreePort.Next()}", StringComparison.Ordinal))
            .ConfigureKestrel(kestrel => kestrel.ConfigureHttpsDefaults(https => https.ServerCertificate = Certificate)));

    /// <summary>Dials what stands in etcd, and nothing else.</summary>
    private async Task<IReadOnlyList<string>> DialAllAsync()
    {
        await using var client = node.Connect();
        using var http = new HttpClient(new SocketsHttpHandler
        {
            SslOptions = { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate!.GetCertHashString() == Certificate.GetCertHashString() },
        });
        var addresses = new List<string>();
        foreach (var record in await client.RecordsAsync(_service))
        {
            using var value = JsonDocument.Parse(record.Value);
            var address = $"{record.Metadata().GetProperty("scheme")}://{value.RootElement.GetProperty("Addr")}";
            Assert.Equal("ok", await http.GetStringAsync(address));
            addresses.Add(address);
        }

        return addresses;
    }
}
