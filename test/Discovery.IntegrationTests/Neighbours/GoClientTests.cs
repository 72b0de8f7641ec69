using Discovery.IntegrationTests.Etcd;
using Discovery.IntegrationTests.Registration;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>Clients in Go find and call our servers; what each check does is in test/interop/go/neighbour/check.go.</summary>
public sealed class GoClientTests(OneNode node) : IClassFixture<OneNode>
{
    [Theory]
    [InlineData("openim", "OpenIm", "User")]
    [InlineData("openim", "OpenIm", "helloworld.Greeter")]
    [InlineData("naming", "EtcdNaming", "User")]
    [InlineData("naming", "EtcdNaming", "a_b")]
    public async Task A_client_in_Go_gets_what_the_proto_promises(string way, string layout, string service)
    {
        await using var server = await Application.ServeAsync(node.Etcd.Endpoint, service, layout);
        await using var client = await Neighbour.StartAsync("check", node.Etcd.Endpoint, way, service);

        await client.SucceedsAsync();

        Assert.Equal(8, client.Output.Split('\n').Count(static l => l.StartsWith("ok ", StringComparison.Ordinal)));
    }
}
