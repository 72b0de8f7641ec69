using System.Net;
using Discovery.AspNetCore.LoadBalancing;

namespace Discovery.AspNetCore.Http;

/// <summary>
/// Sends each request to an endpoint of the service. A thin face: everything that lives longer than a call is the pool's, so disposing a
/// handler closes nothing. A call moves to another endpoint only when nothing of it was sent; nothing else is retried here.
/// </summary>
internal sealed class DiscoveryHandler(Func<ServicePool> getPool) : HttpMessageHandler
{
    private ServicePool? _pool;

    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
        => throw new NotSupportedException("Calls by service discovery are asynchronous only: use SendAsync, GetAsync and the like.");

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var steering = CallSteering.TakeFrom(request.Headers);
        return steering.IsNone ? SendAsync(request, steering, cancellationToken) : SendSteeredAsync(request, steering, cancellationToken);
    }

    private async Task<HttpResponseMessage> SendSteeredAsync(
        HttpRequestMessage request, CallSteering steering, CancellationToken cancellationToken)
    {
        try
        {
            return await SendAsync(request, steering, cancellationToken);
        }
        finally
        {
            steering.PutBack(request.Headers);
        }
    }

    private Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CallSteering steering, CancellationToken cancellationToken)
    {
        var pool = _pool ??= getPool();
        return pool.State is null
            ? SendWhenReadyAsync(pool, request, steering, cancellationToken)
            : SendAsync(pool, request, steering, cancellationToken);
    }

    private static async Task<HttpResponseMessage> SendWhenReadyAsync(
        ServicePool pool, HttpRequestMessage request, CallSteering steering, CancellationToken cancellationToken)
    {
        try
        {
            await pool.WaitForReadyAsync(cancellationToken);
        }
        catch (ServiceDiscoveryException e)
        {
            return NoEndpoint.Answer(request, e.Message, e);
        }

        return await SendAsync(pool, request, steering, cancellationToken);
    }

    /// <summary>Each call allocates what this method keeps across its one await: it is kept small.</summary>
    private static async Task<HttpResponseMessage> SendAsync(
        ServicePool pool, HttpRequestMessage request, CallSteering steering, CancellationToken cancellationToken)
    {
        var state = pool.State!;
        var scheme = request.RequestUri!.Scheme;
        var endpoint = steering.Instance is null
            ? state.For(scheme)?.Pick(new PickContext(steering.HashKey))
            : state.Find(steering.Instance, scheme);
        if (endpoint is null)
        {
            return NoEndpoint.Answer(request, NoEndpoint.Explain(pool, state, scheme, steering), cause: null);
        }

        List<ServiceEndpoint>? tried = null;
        while (true)
        {
            var call = endpoint.OnCallStarted();
            try
            {
                var response = await endpoint.Transport!.SendAsync(request, cancellationToken);
                return Track(response, endpoint, call);
            }
            catch (Exception e) when (Outcomes.IsConnectFailure(e, cancellationToken))
            {
                endpoint.OnCallEnded(call, CallOutcome.ConnectFailure);
                if (e is OperationCanceledException)
                {
                    (endpoint.Transport as EndpointTransport)?.OnConnectTimeout();
                }

                (tried ??= []).Add(endpoint);
                var next = steering.Instance is null ? PickUntried(pool, request, steering, tried) : null;
                if (next is null)
                {
                    return NoEndpoint.Answer(request, NoEndpoint.Explain(pool.ServiceName, tried, e), e);
                }

                endpoint = next;
            }
            catch (Exception e)
            {
                endpoint.OnCallEnded(call, Outcomes.Of(e));
                throw;
            }
        }
    }

    private static ServiceEndpoint? PickUntried(
        ServicePool pool, HttpRequestMessage request, CallSteering steering, List<ServiceEndpoint> tried)
        => pool.State?.For(request.RequestUri!.Scheme)?.Pick(
            new PickContext(steering.HashKey, tried.Count), System.Runtime.InteropServices.CollectionsMarshal.AsSpan(tried));

    private static bool HasNoBody(HttpResponseMessage response)
        => response.StatusCode is HttpStatusCode.NoContent or HttpStatusCode.NotModified
            || response.RequestMessage?.Method == HttpMethod.Head
            || (response.Content.Headers.NonValidated.TryGetValues("Content-Length", out var length) && length.ToString() == "0");

    private static HttpResponseMessage Track(HttpResponseMessage response, ServiceEndpoint endpoint, long call)
    {
        var outcome = Outcomes.Of(response);
        if (outcome == CallOutcome.Success)
        {
            call = endpoint.OnHeaders(call);
        }

        if (HasNoBody(response))
        {
            endpoint.OnCallEnded(call, outcome);
        }
        else
        {
            response.Content = new TrackedContent(response, endpoint, call, outcome);
        }

        return response;
    }
}
