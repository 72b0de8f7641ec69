using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Hosting.PrimaryHandlers;

/// <summary>A client that discovers a service was given a primary handler by the application.</summary>
internal static class PrimaryHandlerError
{
    public static InvalidOperationException Replaced(RegisteredClient client, HttpMessageHandler handler)
        => Create(client, $"its primary handler was replaced by {handler.GetType().Name} (ConfigurePrimaryHttpMessageHandler, UseSocketsHttpHandler)");

    public static InvalidOperationException Changed(RegisteredClient client, IEnumerable<string> settings)
        => Create(
            client,
            $"{string.Join(", ", settings)} of its primary handler, which no call goes by, was set (ConfigurePrimaryHttpMessageHandler, UseSocketsHttpHandler)");

    private static InvalidOperationException Create(RegisteredClient client, string problem)
        => new(
            $"The client '{client.Name}' discovers service '{client.ServiceName}', but {problem}. Use ConfigureEtcdTransport, which "
            + "changes the SocketsHttpHandler of each instance: .ConfigureEtcdTransport(handler => handler.SslOptions = …). In a test, answer by a "
            + $"DelegatingHandler that is added by AddHttpMessageHandler, or set {Sections.Services}:{client.ServiceName}:Instances to a server of the test.");
}
