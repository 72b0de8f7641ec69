using System.Diagnostics;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Diagnostics.Tracing;
using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// Sends each request to an instance of the service. It is thin: everything that lives longer than a call is the pool's, so disposing a
/// handler closes nothing. A call moves to another instance only when nothing of it was sent; nothing else is retried here.
/// </summary>
/// <param name="getPool">Gets the pool: that of a registered client at the first call, any other at each, for it may be forgotten in between.</param>
/// <param name="client">The client whose requests these are, whose hosts they must name; null for gRPC channels, which have one address.</param>
internal sealed class DiscoveryHandler(Func<ServicePool> getPool, RegisteredClient? client = null) : HttpMessageHandler
{
    private ServicePool? _pool;

    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
        => throw new NotSupportedException("Calls by service discovery are asynchronous only: use SendAsync, GetAsync and the like.");

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var pool = _pool ?? (client is null ? getPool() : _pool = getPool());
        if (client is not null && !client.HasHost(request.RequestUri!.IdnHost) && !pool.Options.AllowOtherHosts)
        {
            throw new InvalidOperationException(NoInstance.ExplainOtherHost(pool.ServiceName, request.RequestUri.IdnHost));
        }

        GrpcCallFlow.Attach(request);
        HttpVersions.RestorePolicy(request);
        HttpVersions.KeepOffHttp3(request);
        var steering = CallSteering.TakeFrom(request);
        return steering is null ? RouteAsync(pool, request, steering, cancellationToken) : SendSteeredAsync(pool, request, steering, cancellationToken);
    }

    private static async Task<HttpResponseMessage> SendSteeredAsync(
        ServicePool pool, HttpRequestMessage request, CallSteering steering, CancellationToken cancellationToken)
    {
        steering.Tried?.OnBegun();
        try
        {
            return await RouteAsync(pool, request, steering, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            steering.Tried?.OnEnded();
            steering.PutBack(request.Headers);
        }
    }

    private static Task<HttpResponseMessage> RouteAsync(
        ServicePool pool, HttpRequestMessage request, CallSteering? steering, CancellationToken cancellationToken)
    {
        if (pool.Retries is { } retries && !retries.TryBegin(steering?.IsRetry == true))
        {
            pool.Metrics?.OnRetryRefused();
            return RefuseAsync(pool, request, steering!, cancellationToken);
        }

        return pool.FirstInstance.IsAwaited || pool.Current is null
            ? SendWhenReadyAsync(pool, request, steering, cancellationToken)
            : ChooseAsync(pool, request, steering, cancellationToken);
    }

    /// <summary>The answer to an attempt that the budget does not pay for.</summary>
    private static async Task<HttpResponseMessage> RefuseAsync(
        ServicePool pool, HttpRequestMessage request, CallSteering steering, CancellationToken cancellationToken)
    {
        if (steering.Tried is { IsOfGrpc: true } tried)
        {
            tried.OnEnded();
            try
            {
                await tried.WaitForOthersAsync(pool.Time, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                tried.OnBegun();
            }
        }

        return await NoInstance.AnswerAsync(request, NoInstance.ExplainBudget(pool), cause: null).ConfigureAwait(false);
    }

    private static async Task<HttpResponseMessage> SendWhenReadyAsync(
        ServicePool pool, HttpRequestMessage request, CallSteering? steering, CancellationToken cancellationToken)
    {
        var waiting = DiscoveryActivities.Start(DiscoveryActivities.Wait, pool.ServiceName, pool.Options.Cluster);
        ServicePool? successor = null;
        try
        {
            await pool.WaitForInstanceAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ObjectDisposedException) when (pool is { IsDetached: true, Successor: not null })
        {
            // It was forgotten after this call had got it.
            successor = pool.Successor();
        }
        catch (ServiceDiscoveryException e)
        {
            waiting.SetFailed(nameof(ServiceDiscoveryException), e.Message);
            pool.OnNotPicked(reason: null);
            return await NoInstance.AnswerAsync(request, e.Message, e).ConfigureAwait(false);
        }
        finally
        {
            waiting?.Dispose();
        }

        return await (successor is null
            ? ChooseAsync(pool, request, steering, cancellationToken)
            : RouteAsync(successor, request, steering, cancellationToken)).ConfigureAwait(false);
    }

    private static Task<HttpResponseMessage> ChooseAsync(
        ServicePool pool, HttpRequestMessage request, CallSteering? steering, CancellationToken cancellationToken)
    {
        var current = pool.Current!;
        var needs = CallNeeds.Of(request, steering?.Version);
        if (steering is { PreviousAttempts: > 0, Tried: not { IsOfGrpc: true } })
        {
            steering.FailedBefore = pool.Failures.Take(request.RequestUri!, steering.PreviousAttempts, CallDeadline.TimeLeftOf(request));
        }

        var instance = steering is null
            ? current.For(needs, hashKey: null)?.Pick(default)
            : InstanceChoice.Choose(current, request, steering, failures: null);
        if (instance is null)
        {
            return SendWhenOthersCameAsync(pool, current, needs, request, steering, cancellationToken);
        }

        return steering is null && !DiscoveryActivities.AreWanted
            ? SendAsync(instance, request, cancellationToken)
            : AttemptAsync(pool, instance, request, steering, failures: null, cancellationToken);
    }

    private static async Task<HttpResponseMessage> SendWhenOthersCameAsync(
        ServicePool pool, PoolSnapshot current, CallNeeds needs, HttpRequestMessage request, CallSteering? steering, CancellationToken cancellationToken)
    {
        if (steering is not { PreviousAttempts: > 0 } && await pool.WaitForOthersAsync(current, cancellationToken).ConfigureAwait(false))
        {
            return await ChooseAsync(pool, request, steering, cancellationToken).ConfigureAwait(false);
        }

        var reason = NoInstance.Explain(pool, current, needs, steering);
        pool.OnNotPicked(steering is { Instance: not null } or { Version: not null } ? null : reason);
        return await NoInstance.AnswerAsync(request, reason, cause: null).ConfigureAwait(false);
    }

    /// <summary>
    /// The first attempt of a call that is not steered, which is nearly every call. What this method keeps across its await is allocated for
    /// each, so it keeps the four things that must be known afterwards, and asks the instance for its pool.
    /// </summary>
    private static async Task<HttpResponseMessage> SendAsync(InstanceState instance, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var startedAt = instance.OnCallStarted().StartedAt;
        ConnectFailures failures;
        try
        {
            var response = await instance.Transport!.SendAsync(request, cancellationToken).ConfigureAwait(false);
            return AnsweredCall.Track(request, response, instance, steering: null, new CallProgress(startedAt, HasHeaders: false), activity: null);
        }
        catch (Exception e)
        {
            if (OnFailed(instance, request, new CallProgress(startedAt, HasHeaders: false), e, activity: null, cancellationToken) is not { } failure)
            {
                ProtocolRefusals.Explain(e, request, instance);
                throw;
            }

            failures = new ConnectFailures(instance.Pool!.Options, instance.Pool.Time, startedAt);
            failures.Add(instance, failure);
        }

        var pool = instance.Pool;
        return await AttemptAsync(pool, ChooseNext(pool, request, steering: null, failures), request, steering: null, failures, cancellationToken)
            .ConfigureAwait(false);
    }

    /// <summary>Makes the attempts of a call that is steered, or that failed to connect before.</summary>
    private static async Task<HttpResponseMessage> AttemptAsync(
        ServicePool pool,
        InstanceState? instance,
        HttpRequestMessage request,
        CallSteering? steering,
        ConnectFailures? failures,
        CancellationToken cancellationToken)
    {
        while (instance is not null)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var connects = failures?.Instances.Count ?? 0;
            var attempt = 1 + (steering?.AttemptsBefore(connects) ?? connects);
            using var activity = AttemptActivity.Start(pool, instance, attempt);
            if (attempt > 1)
            {
                TraceHeaders.RemoveStale(request);
            }

            steering?.Tried?.OnSent(instance);
            var call = instance.OnCallStarted();
            try
            {
                var response = await instance.Transport!.SendAsync(request, cancellationToken).ConfigureAwait(false);
                return AnsweredCall.Track(request, response, instance, steering, call, activity);
            }
            catch (Exception e)
            {
                if (OnFailed(instance, request, call, e, activity, cancellationToken) is not { } failure)
                {
                    ProtocolRefusals.Explain(e, request, instance);
                    throw;
                }

                failures ??= new ConnectFailures(pool.Options, pool.Time, call.StartedAt);
                failures.Add(instance, failure);
            }

            instance = ChooseNext(pool, request, steering, failures);
        }

        // The cause, and not our own exception for it: another call whose body comes of this one would take that for its own failure to connect.
        return await NoInstance.AnswerAsync(request, NoInstance.Explain(pool.ServiceName, failures!), failures!.Last!.InnerException).ConfigureAwait(false);
    }

    /// <summary>An attempt failed before an answer.</summary>
    /// <returns>The failure to connect, after which another instance may be tried; null for any other.</returns>
    private static InstanceConnectException? OnFailed(
        InstanceState instance, HttpRequestMessage request, CallProgress call, Exception exception, Activity? activity, CancellationToken cancellationToken)
    {
        var failure = instance.Transport!.FindFailure(exception);

        // What this machine lacks is not held against the instance.
        var outcome = failure is null ? OutcomeRules.Of(exception, request, instance, call, cancellationToken)
            : failure.IsLocal || ProtocolRefusals.Learn(failure, instance) ? CallOutcome.Cancelled
            : CallOutcome.ConnectFailure;
        instance.OnCallEnded(call, outcome);
        AttemptActivity.OnFailed(activity, instance, exception, failure);
        CallTrace.OnFailed(request, instance, activity);
        return failure;
    }

    private static InstanceState? ChooseNext(ServicePool pool, HttpRequestMessage request, CallSteering? steering, ConnectFailures failures)
    {
        var next = failures.MayGoOn && pool.Current is { } current ? InstanceChoice.Choose(current, request, steering, failures.Instances) : null;
        if (next is not null)
        {
            pool.Metrics?.OnFailover();
        }

        return next ?? failures.TakeUndialled();
    }
}
