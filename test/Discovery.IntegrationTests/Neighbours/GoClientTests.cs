using Discovery.IntegrationTests.Etcd;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>
/// Clients in Go find and call our servers; what each check does is in test/interop/go/neighbour/check.go, how each reads records in plugin.go
/// and readers.go.
/// </summary>
public sealed class GoClientTests(OneNode node) : IClassFixture<OneNode>
{
    // All that a record can have, and what Go escapes in JSON.
    private const string Settings = "Weight=0;Zone=eu \"1\";Version=v<2>;Tags:0=a,b;Metadata:team=sea & \u2028 <shore>";

    [Theory]
    [InlineData("openim", "OpenIm", "User")]
    [InlineData("openim", "OpenIm", "helloworld.Greeter")]
    [InlineData("openim3", "EtcdNaming:openim/", "user-rpc-service")]
    [InlineData("naming", "EtcdNaming", "User")]
    [InlineData("naming", "EtcdNaming", "a_b")]
    [InlineData("gozero", "GoZero", "greet.rpc")]
    [InlineData("kratos", "Kratos", "User")]
    [InlineData("kitex", "Kitex", "a_b")]
    public async Task A_client_in_Go_gets_what_the_proto_promises(string way, string layout, string service)
    {
        await using var server = await Application.ServeAsync(node.Etcd.Endpoint, service, layout, Settings);

        // Kratos lists it too, and fails if it cannot read it.
        await using var alike = way == "kratos" ? await Application.ServeAsync(node.Etcd.Endpoint, service + "-b", layout, Settings) : null;
        await using var client = await Neighbour.StartAsync("check", node.Etcd.Endpoint, way, service);

        await client.SucceedsAsync();

        Assert.Equal(8, client.Output.Split('\n').Count(static l => l.StartsWith("ok ", StringComparison.Ordinal)));
        Assert.Equal(way == "kitex", client.Output.Contains("weight 1\n", StringComparison.Ordinal));
    }
}
