using Grpc.Core;
using Grpc.Net.Client.Configuration;

namespace Discovery.FieldTests.Support;

/// <summary>Hedging by gRPC's own service config.</summary>
internal static class GrpcHedges
{
    /// <param name="attempts">All attempts of a call together.</param>
    /// <param name="delay">After how long the next one is made.</param>
    /// <param name="goesOn">Whether others go on where an attempt is UNAVAILABLE; otherwise that ends the call.</param>
    public static ServiceConfig Of(int attempts, TimeSpan delay, bool goesOn = true)
    {
        var policy = new HedgingPolicy { MaxAttempts = attempts, HedgingDelay = delay };
        if (goesOn)
        {
            policy.NonFatalStatusCodes.Add(StatusCode.Unavailable);
        }

        return new ServiceConfig { MethodConfigs = { new MethodConfig { Names = { MethodName.Default }, HedgingPolicy = policy } } };
    }
}
