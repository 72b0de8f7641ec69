using Discovery.AspNetCore.Connections;

namespace Discovery.AspNetCore.Tests.Connections;

public sealed class LoopbackHostTests
{
    [Theory]
    [InlineData("http://localhost:2379", true)]
    [InlineData("http://127.0.0.2:2379", true)]
    [InlineData("http://[::1]:2379", true)]
    [InlineData("http://etcd.LocalHost:2379", true)]
    [InlineData("https://localhost.:2379", true)]
    [InlineData("http://notlocalhost:2379", false)]
    [InlineData("http://localhost.example:2379", false)]
    [InlineData("http://10.0.0.1:2379", false)]
    public void Localhost_and_the_names_below_it_are_loopback(string url, bool isLoopback)
        => Assert.Equal(isLoopback, LoopbackHost.Is(new Uri(url)));
}
