using System.Net;
using System.Security.Cryptography.X509Certificates;
using Discovery.AspNetCore;
using Discovery.IntegrationTests.Etcd;
using Discovery.IntegrationTests.Registration;
using Grpc.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Peers.V1;
using InteropClient = Peers.V1.Interop.InteropClient;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>
/// What a server in Go sees as the authority of our calls: a host that every server accepts, whatever the service is called. With TLS it is the
/// name in the certificate.
/// </summary>
public sealed class AuthorityTests(OneNode node) : IClassFixture<OneNode>, IDisposable
{
    private readonly TestCertificates _certificates = new("neighbours");

    // Servers that are killed at the end of a test stand for a while yet.
    private readonly string _root = "/" + RecordReading.NewService();

    [Theory]
    [InlineData("User", "user", false)]
    [InlineData("User", "user", true)]
    [InlineData("helloworld.Greeter", "helloworld.greeter", false)]
    [InlineData("helloworld.Greeter", "helloworld.greeter", true)]
    [InlineData("a_b", "a-b", false)]
    [InlineData("a_b", "a-b", true)]
    [InlineData("日本%2F", "2F", false)]
    public async Task Go_accepts_it(string service, string authority, bool withTls)
    {
        await using var server = await ServeAsync(service, authority, withTls);
        await using var services = Clients(service, withTls);

        using var call = services.GetRequiredService<InteropClient>().EchoAsync(new Message { Text = "a" });
        Assert.Equal(authority, (await call.ResponseHeadersAsync).GetValue("received-authority"), ignoreCase: true);
        await call;

        using var http = services.GetRequiredService<IHttpClientFactory>().CreateClient("http");
        using var response = await http.SendAsync(Request(new Uri("/interop.v1.Interop/Echo", UriKind.Relative)));
        Assert.Equal(authority, Assert.Single(response.Headers.GetValues("received-authority")), ignoreCase: true);
    }

    [Theory]
    [InlineData("http://a_b/interop.v1.Interop/Echo", "a_b")]
    [InlineData("http://a_b:8080/interop.v1.Interop/Echo", "a_b:8080")]
    [InlineData("http://A_B/interop.v1.Interop/Echo", "a_b")]
    public async Task So_it_does_a_base_address_of_the_application(string address, string authority)
    {
        await using var server = await ServeAsync("a_b", "", withTls: false);
        await using var services = Clients("a_b", withTls: false);
        using var http = services.GetRequiredService<IHttpClientFactory>().CreateClient("http");
        http.BaseAddress = new Uri(address);

        using var response = await http.SendAsync(Request(http.BaseAddress));

        Assert.Equal(authority, Assert.Single(response.Headers.GetValues("received-authority")));
    }

    public void Dispose() => _certificates.Dispose();

    private static HttpRequestMessage Request(Uri uri) => new(HttpMethod.Post, uri)
    {
        Version = HttpVersion.Version20,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,

        // A message of no bytes, with the frame of gRPC.
        Content = new ByteArrayContent(new byte[5]) { Headers = { ContentType = new("application/grpc") } },
    };

    private Task<Neighbour> ServeAsync(string service, string name, bool withTls)
    {
        if (!withTls)
        {
            return Neighbour.ServeAsync(node.Etcd.Endpoint, "kratos", service, "-root", _root);
        }

        var (certificate, key) = _certificates.IssuePem(name, "server", withLoopback: false);
        return Neighbour.ServeAsync(node.Etcd.Endpoint, "kratos", service, "-root", _root, "-certificate", certificate, "-key", key);
    }

    private ServiceProvider Clients(string service, bool withTls)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(
        [
            new("Etcd:Endpoints", node.Etcd.Endpoint), new("Etcd:Discovery:Layout", "Kratos:" + _root), new("Etcd:Discovery:Scheme", withTls ? "https" : "http"),
        ]).Build());
        services.AddEtcdGrpcClient<InteropClient>(service).ConfigureEtcdTransport(Trust);
        services.AddHttpClient("http").AddEtcdDiscovery(service).ConfigureEtcdTransport(Trust);
        return services.BuildServiceProvider();
    }

    private void Trust(SocketsHttpHandler handler)
    {
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            CustomTrustStore = { X509CertificateLoader.LoadCertificateFromFile(_certificates.CaFile) },
            RevocationMode = X509RevocationMode.NoCheck,
        };
    }
}
