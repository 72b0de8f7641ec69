using Polly;
using Polly.Retry;

namespace Discovery.Etcd.Leasing;

/// <summary>The pipeline through which a keeper's requests go: again and again, for ever, in pauses that grow and do not keep step.</summary>
internal static class LeaseRetry
{
    /// <summary>The pause after a first failure.</summary>
    public static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);

    /// <summary>A registration must be back within 2 s of etcd; the steps before have spread a thousand processes over this time.</summary>
    public static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    /// <summary>Creates the pipeline.</summary>
    /// <param name="time">The clock.</param>
    /// <param name="onFailure">Told of each failure, and the pause after it.</param>
    /// <param name="isFinal">Failures that are not to be retried.</param>
    public static ResiliencePipeline Create(TimeProvider time, Action<Exception, TimeSpan> onFailure, Func<EtcdException, bool> isFinal) =>
        new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = new PredicateBuilder().Handle<Exception>(
                    e => e is not (OperationCanceledException or ObjectDisposedException) && !(e is EtcdException failure && isFinal(failure))),
                MaxRetryAttempts = int.MaxValue,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                Delay = FirstPause,
                MaxDelay = LongestPause,
                OnRetry = arguments =>
                {
                    onFailure(arguments.Outcome.Exception!, arguments.RetryDelay);
                    return default;
                },
            })
            .Build();
}
