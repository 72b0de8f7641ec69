namespace Examples.Tests;

/// <summary>Answers in place of the service.</summary>
internal sealed class StubHandler(string answer) : DelegatingHandler
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        => Task.FromResult(new HttpResponseMessage { Content = new StringContent(answer), RequestMessage = request });
}
