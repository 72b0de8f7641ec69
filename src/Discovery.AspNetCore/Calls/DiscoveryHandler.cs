using System.Net;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// Sends each request to an instance of the service. It is thin: everything that lives longer than a call is the pool's, so disposing a
/// handler closes nothing. A call moves to another instance only when nothing of it was sent; nothing else is retried here.
/// </summary>
internal sealed class DiscoveryHandler(Func<ServicePool> getPool) : HttpMessageHandler
{
    private ServicePool? _pool;

    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
        => throw new NotSupportedException("Calls by service discovery are asynchronous only: use SendAsync, GetAsync and the like.");

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var steering = CallSteering.TakeFrom(request.Headers);
        return steering.IsNone ? RouteAsync(request, steering, cancellationToken) : SendSteeredAsync(request, steering, cancellationToken);
    }

    private async Task<HttpResponseMessage> SendSteeredAsync(
        HttpRequestMessage request, CallSteering steering, CancellationToken cancellationToken)
    {
        try
        {
            return await RouteAsync(request, steering, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            steering.PutBack(request.Headers);
        }
    }

    private Task<HttpResponseMessage> RouteAsync(HttpRequestMessage request, CallSteering steering, CancellationToken cancellationToken)
    {
        var pool = _pool ??= getPool();
        return pool.Current is null
            ? SendWhenReadyAsync(pool, request, steering, cancellationToken)
            : AttemptAsync(pool, request, steering, cancellationToken);
    }

    private static async Task<HttpResponseMessage> SendWhenReadyAsync(
        ServicePool pool, HttpRequestMessage request, CallSteering steering, CancellationToken cancellationToken)
    {
        try
        {
            await pool.WaitForReadyAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ServiceDiscoveryException e)
        {
            return NoInstance.Answer(request, e.Message, e);
        }

        return await AttemptAsync(pool, request, steering, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Each call allocates what this method keeps across its one await: it is kept small.</summary>
    private static async Task<HttpResponseMessage> AttemptAsync(
        ServicePool pool, HttpRequestMessage request, CallSteering steering, CancellationToken cancellationToken)
    {
        var current = pool.Current!;
        var scheme = request.RequestUri!.Scheme;
        var instance = steering.Instance is null
            ? current.For(scheme)?.Pick(new PickArguments { HashKey = steering.HashKey })
            : current.Find(steering.Instance, scheme);
        if (instance is null)
        {
            return NoInstance.Answer(request, NoInstance.Explain(pool, current, scheme, steering), cause: null);
        }

        List<InstanceState>? tried = null;
        while (true)
        {
            var call = instance.OnCallStarted();
            try
            {
                var response = await instance.Transport!.SendAsync(request, cancellationToken).ConfigureAwait(false);
                return Track(response, instance, call);
            }
            catch (Exception e) when (OutcomeRules.IsConnectFailure(e, cancellationToken))
            {
                instance.OnCallEnded(call, CallOutcome.ConnectFailure);
                if (e is OperationCanceledException)
                {
                    instance.Transport!.OnConnectTimeout();
                }

                (tried ??= []).Add(instance);
                var next = steering.Instance is null ? PickUntried(pool, request, steering, tried) : null;
                if (next is null)
                {
                    return NoInstance.Answer(request, NoInstance.Explain(pool.ServiceName, tried, e), e);
                }

                instance = next;
            }
            catch (Exception e)
            {
                instance.OnCallEnded(call, OutcomeRules.Of(e));
                throw;
            }
        }
    }

    private static InstanceState? PickUntried(
        ServicePool pool, HttpRequestMessage request, CallSteering steering, List<InstanceState> tried)
        => pool.Current?.For(request.RequestUri!.Scheme)?.Pick(
            new PickArguments { HashKey = steering.HashKey, Attempt = tried.Count }, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(tried));

    private static bool HasNoBody(HttpResponseMessage response)
        => response.StatusCode is HttpStatusCode.NoContent or HttpStatusCode.NotModified
            || response.RequestMessage?.Method == HttpMethod.Head
            || (response.Content.Headers.NonValidated.TryGetValues("Content-Length", out var length) && length.ToString() == "0");

    private static HttpResponseMessage Track(HttpResponseMessage response, InstanceState instance, CallProgress call)
    {
        var outcome = OutcomeRules.Of(response);
        if (outcome == CallOutcome.Success)
        {
            call = instance.OnHeaders(call);
        }

        if (HasNoBody(response))
        {
            instance.OnCallEnded(call, outcome);
        }
        else
        {
            response.Content = new TrackedContent(response, instance, call, outcome);
        }

        return response;
    }
}
