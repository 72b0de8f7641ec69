using Discovery.Etcd.Connections;

namespace Discovery.Etcd.Tests.Connections;

public sealed class EndpointListTests
{
    [Theory]
    [InlineData("http://10.0.0.1:2379", "http://10.0.0.1:2379/")]
    [InlineData("10.0.0.1:2379", "http://10.0.0.1:2379/")]
    [InlineData("https://etcd.example.com:443", "https://etcd.example.com/")]
    [InlineData(" http://A:2379/ ,, b:2380 ", "http://a:2379/ http://b:2380/")]
    [InlineData("http://a:2379,http://A:2379/", "http://a:2379/")]
    [InlineData("[::1]:2379", "http://[::1]:2379/")]
    [InlineData("localhost:2379", "http://localhost:2379/")]
    [InlineData("HTTP://LOCALHOST:2379", "http://localhost:2379/")]
    public void Endpoints_are_read_and_normalized(string entry, string expected)
    {
        var failures = new List<string>();

        var endpoints = EndpointList.Parse([entry], secure: false, failures);

        Assert.Empty(failures);
        Assert.Equal(expected, string.Join(' ', endpoints));
    }

    [Fact]
    public void Without_scheme_https_is_meant_where_tls_is_set_up() =>
        Assert.Equal("https://a:2379/", Assert.Single(EndpointList.Parse(["a:2379"], secure: true, [])).ToString());

    [Theory]
    [InlineData("foo:bar")]
    [InlineData("http://")]
    [InlineData("ftp://a:2379")]
    [InlineData("unix:///run/etcd.sock")]
    [InlineData("http://localhost")]
    [InlineData("[::1]")]
    [InlineData("http://a:2379/v3")]
    [InlineData("http://a:2379?timeout=5")]
    [InlineData("http://a:2379/#b")]
    [InlineData("http://a:0")]
    [InlineData("http://a:99999")]
    [InlineData("a b:2379")]
    [InlineData("http://0.0.0.0:2379")]
    [InlineData("[::]:2379")]
    [InlineData("http://[fe80::1%25eth0]:2379")]
    [InlineData("[fe80::1%2]:2379")]
    public void A_malformed_endpoint_is_named_with_the_setting_and_a_valid_one(string entry)
    {
        var failures = new List<string>();

        EndpointList.Parse(["http://good:2379", entry], secure: false, failures);

        var failure = Assert.Single(failures);
        Assert.StartsWith($"Etcd:Endpoints is '{entry}'", failure, StringComparison.Ordinal);
        Assert.EndsWith("e.g. http://10.0.0.1:2379.", failure, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" , ")]
    public void No_endpoint_at_all_is_a_failure(string entry)
    {
        var failures = new List<string>();

        EndpointList.Parse([entry], secure: false, failures);

        Assert.StartsWith("Etcd:Endpoints is empty", Assert.Single(failures), StringComparison.Ordinal);
    }

    [Fact]
    public void A_password_in_an_endpoint_is_refused_and_not_repeated()
    {
        var failures = new List<string>();

        EndpointList.Parse(["http://root:geheim@a:2379"], secure: false, failures);

        Assert.Contains("Etcd:Username", Assert.Single(failures), StringComparison.Ordinal);
        Assert.DoesNotContain("geheim", failures[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://root:hun,ter2@a:2379")]
    [InlineData("Endpoints=http://a:2379;Username=root;Password=hun,ter2")]
    [InlineData("endpoints=http://a:2379;password=hunter2;username=root")]
    [InlineData("Endpoints=http://a:2379;Username=root;Password=hun", "ter2")]
    public void An_entry_that_may_hold_a_password_is_never_repeated(params string[] entries)
    {
        var failures = new List<string>();

        EndpointList.Parse(entries, secure: false, failures);

        var failure = Assert.Single(failures);
        Assert.Contains("Etcd:Username", failure, StringComparison.Ordinal);
        Assert.DoesNotContain("hun", failure, StringComparison.Ordinal);
        Assert.DoesNotContain("ter2", failure, StringComparison.Ordinal);
    }
}
