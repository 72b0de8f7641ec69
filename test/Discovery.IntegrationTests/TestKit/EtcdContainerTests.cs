namespace Discovery.IntegrationTests.TestKit;

/// <summary>The etcd in a container, as far as it can be tested without a Docker engine.</summary>
public sealed class EtcdContainerTests
{
    [Fact]
    public void Its_command_line_listens_to_all_and_has_the_options()
    {
        var arguments = EtcdContainer.CommandLine(new EtcdProcessOptions { FastElections = true, ExtraArguments = ["--auth-token-ttl", "2"] });

        Assert.Equal("http://0.0.0.0:2379", ValueOf("--listen-client-urls"));
        Assert.Equal("http://0.0.0.0:2379", ValueOf("--advertise-client-urls"));
        Assert.Equal("200", ValueOf("--election-timeout"));
        Assert.Equal("2", ValueOf("--auth-token-ttl"));
        Assert.DoesNotContain("--election-timeout", EtcdContainer.CommandLine(new EtcdProcessOptions()));

        string ValueOf(string flag) => arguments[arguments.ToList().IndexOf(flag) + 1];
    }

    [Fact]
    public void It_has_no_tls()
        => Assert.Throws<NotSupportedException>(() => EtcdContainer.CommandLine(new EtcdProcessOptions { ClientScheme = "https" }));

    [Fact]
    public async Task Without_an_engine_it_says_so()
    {
        if (Environment.GetEnvironmentVariable("DOCKER_HOST") is not null || File.Exists("/var/run/docker.sock") || OperatingSystem.IsWindows())
        {
            // There may be an engine: the container tests themselves show what then happens.
            return;
        }

        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => EtcdContainer.StartAsync("quay.io/coreos/etcd:v3.6.5"));

        Assert.Contains("no Docker engine answers", failure.Message, StringComparison.Ordinal);
        Assert.Contains("ETCD_IMAGE is 'quay.io/coreos/etcd:v3.6.5'", failure.Message, StringComparison.Ordinal);
    }
}
