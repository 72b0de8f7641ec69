using Grpc.Core;
using Grpc.Net.Client.Configuration;

namespace Discovery.FieldTests.Support;

/// <summary>Hedging by gRPC's own service config, which goes on where an attempt is UNAVAILABLE.</summary>
internal static class GrpcHedges
{
    /// <param name="attempts">All attempts of a call together.</param>
    /// <param name="delay">After how long the next one is made.</param>
    public static ServiceConfig Of(int attempts, TimeSpan delay) => new()
    {
        MethodConfigs =
        {
            new MethodConfig
            {
                Names = { MethodName.Default },
                HedgingPolicy = new HedgingPolicy { MaxAttempts = attempts, HedgingDelay = delay, NonFatalStatusCodes = { StatusCode.Unavailable } },
            },
        },
    };
}
