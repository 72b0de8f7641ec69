namespace Discovery.IntegrationTests.Interop;

/// <summary>Clients of Node.js call our server; what each check does is in test/interop/node/checks.mjs.</summary>
public sealed class NodeClientTests(NodeClientTests.Server server) : IClassFixture<NodeClientTests.Server>
{
    [Theory]
    [InlineData("unary_call")]
    [InlineData("empty_message")]
    [InlineData("server_stream_with_trailers")]
    [InlineData("empty_server_stream")]
    [InlineData("client_stream")]
    [InlineData("duplex_stream_answers_each_message_at_once")]
    [InlineData("error_with_detail_and_trailers")]
    [InlineData("error_after_messages")]
    [InlineData("metadata_both_ways")]
    [InlineData("deadline_of_a_call")]
    [InlineData("deadline_of_a_stream")]
    [InlineData("deadline_that_is_met")]
    [InlineData("cancelled_stream")]
    [InlineData("method_that_is_not_implemented")]
    [InlineData("service_that_does_not_exist")]
    [InlineData("large_messages")]
    [InlineData("many_calls_at_once")]
    public async Task A_node_client_gets_what_the_proto_promises(string check)
    {
        await using var client = await NodePeer.StartAsync("client.mjs", server.Authority, check);

        Assert.True(await client.WaitForExitAsync() == 0, string.Join('\n', client.Lines));
    }

    [Fact]
    public async Task Every_check_of_the_node_client_is_run()
    {
        await using var client = await NodePeer.StartAsync("client.mjs");
        await client.WaitForExitAsync();
        var run = typeof(NodeClientTests).GetMethod(nameof(A_node_client_gets_what_the_proto_promises))!
            .GetCustomAttributesData()
            .Where(data => data.AttributeType == typeof(InlineDataAttribute))
            .Select(data => (string)((IReadOnlyList<System.Reflection.CustomAttributeTypedArgument>)data.ConstructorArguments[0].Value!)[0].Value!);

        Assert.Equal(client.Lines.Order(StringComparer.Ordinal), run.Order(StringComparer.Ordinal));
    }

    public sealed class Server : IAsyncLifetime
    {
        private TestServer? _server;

        public string Authority => new Uri(_server!.Address).Authority;

        public async Task InitializeAsync() => _server = await TestServer.StartAsync();

        public async Task DisposeAsync() => await _server!.DisposeAsync();
    }
}
