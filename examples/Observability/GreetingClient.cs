namespace Observability;

/// <summary>Calls the service <c>greeting</c>, which is this application itself and whatever other processes of it run.</summary>
internal sealed class GreetingClient(HttpClient http)
{
    public Task<string> GreetAsync(CancellationToken cancellationToken) => http.GetStringAsync("/", cancellationToken);
}
