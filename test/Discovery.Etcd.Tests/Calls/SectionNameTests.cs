using Discovery.Etcd.Calls;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Tls;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Etcd.Tests.Calls;

/// <summary>What is said of the settings of a client whose section is not <c>Etcd</c>.</summary>
public sealed class SectionNameTests
{
    private const string Section = "Etcd:Clusters:dc2";

    [Fact]
    public async Task Nobody_there()
    {
        var options = new EtcdClientOptions { Endpoints = [$"http://127.0.0.1:{FreePort.Next()}"], RequestTimeout = TimeSpan.FromMilliseconds(300) };
        await using var client = new EtcdClient(options, section: Section);

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.PutAsync("a", default));

        AssertNamed("that Etcd:Clusters:dc2:Endpoints names its client URLs", error.Message);
    }

    [Fact]
    public async Task A_refusal_and_a_stream_that_ends()
    {
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.Put, static http => ScriptedServer.RefuseAsync(http, StatusCode.InvalidArgument, "etcdserver: user name is empty"));
        server.On(EtcdMethods.Watch, static http => ScriptedServer.RefuseAsync(http, StatusCode.InvalidArgument, "etcdserver: user name is empty"));
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [server.Endpoint], RequestTimeout = TimeSpan.FromMinutes(1) }, section: Section);
        const string Expected = "set Etcd:Clusters:dc2:Username and Etcd:Clusters:dc2:Password";

        AssertNamed(Expected, (await Assert.ThrowsAsync<EtcdException>(() => client.PutAsync("a", default))).Message);

        await using var updates = client.Watch("a", 0).ReadAllAsync().GetAsyncEnumerator();
        do
        {
            Assert.True(await updates.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10)));
        }
        while (updates.Current.Error is null);
        AssertNamed(Expected, updates.Current.Error.Message);
    }

    [Theory]
    [InlineData("etcdserver: authentication failed, invalid user ID or password", "Check Etcd:Clusters:dc2:Username, which is 'app', and Etcd:Clusters:dc2:Password.")]
    [InlineData("etcdserver: server stopped", "Check also that Etcd:Clusters:dc2:Tls:CaFile holds")]
    [InlineData("etcdserver: rpc not supported for learner", "name the voting members in Etcd:Clusters:dc2:Endpoints")]
    [InlineData("tls: RemoteCertificateNameMismatch", "set Etcd:Clusters:dc2:Tls:ServerName to it")]
    [InlineData("tls: UntrustedRoot", "the file that Etcd:Clusters:dc2:Tls:CaFile names")]
    public void Remedies(string detail, string expected)
    {
        var errors = new EtcdErrors(new EtcdClientOptions { Username = "app" }, Section);
        using var endpoint = new EtcdEndpoint(new Uri("https://a:1"), static _ => GrpcChannel.ForAddress("https://a:1"), TimeProvider.System);
        using var pool = new EndpointPool([endpoint], TimeProvider.System);
        var failure = new CallFailedException(StatusCode.Unavailable, detail, detail.StartsWith("tls", StringComparison.Ordinal) ? CallFailureKind.Silence : CallFailureKind.Status);

        AssertNamed(expected, errors.Refused("Put", "https://a:1", failure).Message + errors.Unreachable("Put", pool, [(endpoint, failure)], null).Message);
    }

    [Fact]
    public void An_answer_that_takes_too_long()
    {
        using var endpoint = new EtcdEndpoint(new Uri("https://a:1"), static _ => GrpcChannel.ForAddress("https://a:1"), TimeProvider.System);

        AssertNamed("raise Etcd:Clusters:dc2:RequestTimeout", new EtcdErrors(new EtcdClientOptions(), Section).Incomplete("Range", endpoint, null).Message);
    }

    [Fact]
    public async Task Tls_and_a_password_for_an_endpoint_without_encryption()
    {
        using var log = new LogRecorder();
        using var loggers = LoggerFactory.Create(l => l.AddProvider(log));
        var options = new EtcdClientOptions { Endpoints = ["http://a:1"], Username = "app", Password = "geheim", Tls = { ServerName = "b" } };

        await using var client = new EtcdClient(options, loggers, section: Section);

        Assert.Equal(
            [
                "Etcd:Clusters:dc2:Username and Etcd:Clusters:dc2:Password go to http://a:1/ unencrypted: use https:// in Etcd:Clusters:dc2:Endpoints.",
                "Etcd:Clusters:dc2:Tls is set, but http://a:1/ is spoken to unencrypted: use https:// in Etcd:Clusters:dc2:Endpoints.",
            ],
            log.At(LogLevel.Warning));
    }

    [Fact]
    public void Endpoints_of_two_clusters()
    {
        using var log = new LogRecorder();
        using var one = new EtcdEndpoint(new Uri("http://a:1"), static _ => GrpcChannel.ForAddress("http://a:1"), TimeProvider.System);
        using var other = new EtcdEndpoint(new Uri("http://b:1"), static _ => GrpcChannel.ForAddress("http://b:1"), TimeProvider.System);
        using var pool = new EndpointPool([one, other], TimeProvider.System);
        var cluster = new ClusterIdentity(pool, TimeProvider.System, log, Section);

        Assert.True(cluster.Accept(one, 1, 0));
        Assert.False(cluster.Accept(other, 2, 0));

        AssertNamed("The endpoints of Etcd:Clusters:dc2:Endpoints belong to different clusters", Assert.Single(log.Lines));
        Assert.Contains("such as Etcd__Clusters__dc2__Endpoints__0 replaces", Assert.Single(log.Lines), StringComparison.Ordinal);
        Assert.Contains("set Etcd__Clusters__dc2__Endpoints to one text", Assert.Single(log.Lines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Files_of_tls()
    {
        using var empty = new TemporaryFile("no certificate");
        var options = new EtcdTlsOptions { CaFile = empty.Path };

        var error = await Assert.ThrowsAsync<TlsFilesException>(
            () => new TlsFiles(options, NullLogger.Instance, Section).GetOptionsAsync("etcd", CancellationToken.None));

        AssertNamed($"the files of Etcd:Clusters:dc2:Tls cannot be read: Etcd:Clusters:dc2:Tls:CaFile '{empty.Path}' holds no PEM certificate", error.Message);
    }

    [Fact]
    public void Wrong_settings()
        => AssertNamed(
            "Etcd:Clusters:dc2:Endpoints is empty",
            Assert.Throws<ArgumentException>(() => new EtcdClient(new EtcdClientOptions(), section: Section)).Message);

    /// <summary>The setting is named by its section, and none by another.</summary>
    private static void AssertNamed(string expected, string message)
    {
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.DoesNotContain("Etcd:", message.Replace(Section, "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    private sealed class TemporaryFile : IDisposable
    {
        public TemporaryFile(string content) => File.WriteAllText(Path, content);

        public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"section-{Guid.NewGuid():N}.pem");

        public void Dispose() => File.Delete(Path);
    }
}
