namespace Discovery.AspNetCore.Calls;

/// <summary>
/// Stands above the handlers that may retry or hedge a request, so that all attempts carry one list of tried instances. Clients
/// without such handlers go without it.
/// </summary>
internal sealed class AttemptsHandler : DelegatingHandler
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        request.Options.Set(TriedInstances.Key, new TriedInstances(cancellationToken, request, GrpcCallFlow.Of(request)));
        return base.SendAsync(request, cancellationToken);
    }
}
