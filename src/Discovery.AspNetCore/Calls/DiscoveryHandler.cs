using System.Net;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// Sends each request to an instance of the service. It is thin: everything that lives longer than a call is the pool's, so disposing a
/// handler closes nothing. A call moves to another instance only when nothing of it was sent; nothing else is retried here.
/// </summary>
/// <param name="getPool">Gets the pool at the first call.</param>
/// <param name="client">The client whose requests these are, whose hosts they must name; null for gRPC channels, which have one address.</param>
internal sealed class DiscoveryHandler(Func<ServicePool> getPool, RegisteredClient? client = null) : HttpMessageHandler
{
    private ServicePool? _pool;

    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
        => throw new NotSupportedException("Calls by service discovery are asynchronous only: use SendAsync, GetAsync and the like.");

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var pool = _pool ??= getPool();
        if (client is not null && !client.HasHost(request.RequestUri!.IdnHost) && !pool.Options.AllowOtherHosts)
        {
            throw new InvalidOperationException(NoInstance.ExplainOtherHost(pool.ServiceName, request.RequestUri.IdnHost));
        }

        HttpVersions.KeepOffHttp3(request);
        var steering = CallSteering.TakeFrom(request);
        return steering is null ? RouteAsync(pool, request, steering, cancellationToken) : SendSteeredAsync(pool, request, steering, cancellationToken);
    }

    private static async Task<HttpResponseMessage> SendSteeredAsync(
        ServicePool pool, HttpRequestMessage request, CallSteering steering, CancellationToken cancellationToken)
    {
        try
        {
            return await RouteAsync(pool, request, steering, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            steering.PutBack(request.Headers);
        }
    }

    private static Task<HttpResponseMessage> RouteAsync(
        ServicePool pool, HttpRequestMessage request, CallSteering? steering, CancellationToken cancellationToken)
    {
        if (pool.Retries is { } retries && !retries.TryBegin(steering?.IsRetry == true))
        {
            return NoInstance.AnswerAsync(request, NoInstance.ExplainBudget(pool), cause: null);
        }

        return pool.FirstInstance.IsAwaited || pool.Current is null
            ? SendWhenReadyAsync(pool, request, steering, cancellationToken)
            : ChooseAsync(pool, request, steering, cancellationToken);
    }

    private static async Task<HttpResponseMessage> SendWhenReadyAsync(
        ServicePool pool, HttpRequestMessage request, CallSteering? steering, CancellationToken cancellationToken)
    {
        try
        {
            await pool.WaitForInstanceAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ServiceDiscoveryException e)
        {
            return await NoInstance.AnswerAsync(request, e.Message, e).ConfigureAwait(false);
        }

        return await ChooseAsync(pool, request, steering, cancellationToken).ConfigureAwait(false);
    }

    private static Task<HttpResponseMessage> ChooseAsync(
        ServicePool pool, HttpRequestMessage request, CallSteering? steering, CancellationToken cancellationToken)
    {
        var current = pool.Current!;
        var needs = CallNeeds.Of(request, steering?.Version);
        if (steering?.PreviousAttempts > 0)
        {
            steering.FailedBefore = pool.Failures.Take(request.RequestUri!, steering.PreviousAttempts, CallDeadline.TimeLeftOf(request));
        }

        var instance = steering is null
            ? current.For(needs, hashKey: null)?.Pick(default)
            : Choose(pool, current, request, steering, failures: null);
        return instance is null
            ? NoInstance.AnswerAsync(request, NoInstance.Explain(pool, current, needs, steering), cause: null)
            : SendAsync(pool, instance, request, steering, cancellationToken);
    }

    /// <summary>Each call allocates what this method keeps across its one await: it is kept small.</summary>
    private static async Task<HttpResponseMessage> SendAsync(
        ServicePool pool, InstanceState instance, HttpRequestMessage request, CallSteering? steering, CancellationToken cancellationToken)
    {
        steering?.Tried?.Add(instance);
        var startedAt = instance.OnCallStarted().StartedAt;
        InstanceConnectException failure;
        try
        {
            var response = await instance.Transport!.SendAsync(request, cancellationToken).ConfigureAwait(false);
            return Track(pool, request, response, instance, steering, new CallProgress(startedAt, HasHeaders: false));
        }
        catch (Exception e)
        {
            if (instance.Transport!.FindFailure(e) is not { } connectFailure)
            {
                var call = new CallProgress(startedAt, HasHeaders: false);
                instance.OnCallEnded(call, OutcomeRules.Of(e, request, instance, call, cancellationToken));
                CallTrace.OnFailed(pool, request, instance);
                throw;
            }

            failure = connectFailure;
        }

        return await FailOverAsync(pool, instance, new CallProgress(startedAt, HasHeaders: false), failure, request, steering, cancellationToken).ConfigureAwait(false);
    }

    private static async Task<HttpResponseMessage> FailOverAsync(
        ServicePool pool,
        InstanceState instance,
        CallProgress call,
        InstanceConnectException failure,
        HttpRequestMessage request,
        CallSteering? steering,
        CancellationToken cancellationToken)
    {
        var failures = new ConnectFailures(pool.Options, pool.Time, call.StartedAt);
        while (true)
        {
            // What this machine lacks is not held against the instance.
            instance.OnCallEnded(call, failure.IsLocal ? CallOutcome.Cancelled : CallOutcome.ConnectFailure);
            CallTrace.OnFailed(pool, request, instance);
            failures.Add(instance, failure);
            var next = failures.MayGoOn && pool.Current is { } current ? Choose(pool, current, request, steering, failures.Instances) : null;
            if (next is null)
            {
                return await NoInstance.AnswerAsync(request, NoInstance.Explain(pool.ServiceName, failures), failure).ConfigureAwait(false);
            }

            cancellationToken.ThrowIfCancellationRequested();
            instance = next;
            steering?.Tried?.Add(instance);
            call = instance.OnCallStarted();
            try
            {
                var response = await instance.Transport!.SendAsync(request, cancellationToken).ConfigureAwait(false);
                return Track(pool, request, response, instance, steering, call);
            }
            catch (Exception e)
            {
                if (instance.Transport!.FindFailure(e) is not { } connectFailure)
                {
                    instance.OnCallEnded(call, OutcomeRules.Of(e, request, instance, call, cancellationToken));
                    CallTrace.OnFailed(pool, request, instance);
                    throw;
                }

                failure = connectFailure;
            }
        }
    }

    /// <summary>
    /// Chooses for a call that is steered, or that failed to connect before. One that could not be connected to is not tried again; of
    /// those that attempts above were sent to, one is taken if nobody else is left.
    /// </summary>
    private static InstanceState? Choose(
        ServicePool pool, PoolSnapshot current, HttpRequestMessage request, CallSteering? steering, IReadOnlyList<InstanceState>? failures)
    {
        if (steering?.Instance is { } pinned)
        {
            return failures is null ? current.Find(pinned, request.RequestUri!.Scheme) : null;
        }

        if (current.For(CallNeeds.Of(request, steering?.Version), steering?.HashKey) is not { } balancer)
        {
            return null;
        }

        InstanceState[] unreachable = [.. failures ?? []];
        InstanceState[] avoided = [.. unreachable, .. steering?.Tried?.All ?? [], .. steering?.FailedBefore ?? []];
        return PickExcept(balancer, steering?.HashKey, avoided)
            ?? (avoided.Length > unreachable.Length ? PickExcept(balancer, steering?.HashKey, unreachable) : null);
    }

    private static InstanceState? PickExcept(Balancer balancer, string? hashKey, InstanceState[] avoided)
    {
        var arguments = new PickArguments { HashKey = hashKey, Attempt = avoided.Length };
        return avoided.Length == 0 ? balancer.Pick(arguments) : balancer.Pick(arguments, avoided);
    }

    private static bool HasNoBody(HttpResponseMessage response)
        => response.StatusCode is HttpStatusCode.NoContent or HttpStatusCode.NotModified
            || response.RequestMessage?.Method == HttpMethod.Head
            || (response.Content.Headers.NonValidated.TryGetValues("Content-Length", out var length) && length.ToString() == "0");

    private static HttpResponseMessage Track(
        ServicePool pool, HttpRequestMessage request, HttpResponseMessage response, InstanceState instance, CallSteering? steering, CallProgress call)
    {
        ProtocolRefusals.Learn(response, instance);
        if (steering?.AsksServedBy == true)
        {
            CallTrace.Answer(response, instance);
        }

        var outcome = OutcomeRules.Of(response);
        if (outcome == CallOutcome.Success)
        {
            call = instance.OnHeaders(call);
            instance.Context.NotFound.OnServed(request, instance);
        }
        else if (outcome == CallOutcome.NotFound)
        {
            outcome = OutcomeRules.OfNotFound(request, instance, steering);
        }

        if (outcome is CallOutcome.Success or CallOutcome.Refused or CallOutcome.NotFound)
        {
            CallTrace.OnAnswered(request, instance);
        }
        else
        {
            CallTrace.OnFailed(pool, request, instance);
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
