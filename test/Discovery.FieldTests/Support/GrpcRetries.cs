using Grpc.Core;
using Grpc.Net.Client.Configuration;

namespace Discovery.FieldTests.Support;

/// <summary>Retries by gRPC's own service config.</summary>
internal static class GrpcRetries
{
    /// <summary>Repeats what is UNAVAILABLE, after a millisecond.</summary>
    /// <param name="attempts">All attempts of a call together.</param>
    public static ServiceConfig Of(int attempts) => new()
    {
        MethodConfigs =
        {
            new MethodConfig
            {
                Names = { MethodName.Default },
                RetryPolicy = new RetryPolicy
                {
                    MaxAttempts = attempts,
                    InitialBackoff = TimeSpan.FromMilliseconds(1),
                    MaxBackoff = TimeSpan.FromMilliseconds(1),
                    BackoffMultiplier = 1,
                    RetryableStatusCodes = { StatusCode.Unavailable },
                },
            },
        },
    };
}
