using System.Net;
using Discovery.FieldTests.Support;

namespace Discovery.FieldTests;

/// <summary>Who is asked by pings whether he is still there, while a call is silent.</summary>
public sealed class PingTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("\"protocols\":\"h2c\"", "tolerant")]
    public async Task Pings_go_to_servers_that_our_registration_wrote_and_to_no_other(string metadata, string rule)
    {
        await using var field = await Field.StartAsync();
        await using var server = await Peer.StartNodeAsync("http2/pings.mjs", rule);
        await field.RegisterAsync(server.Address, metadata);
        using var client = field.Client();
        client.DefaultRequestVersion = HttpVersion.Version20;
        client.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;

        Assert.Equal("done", await client.GetStringAsync("30000"));
        Assert.Equal(rule.Length > 0, server.Output.Contains("silent ping", StringComparison.Ordinal));
    }
}
