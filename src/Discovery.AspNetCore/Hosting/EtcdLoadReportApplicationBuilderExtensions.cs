using Discovery.AspNetCore;
using Discovery.AspNetCore.Hosting.LoadReporting;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Lets a server tell its callers how much it has to do.</summary>
public static class EtcdLoadReportApplicationBuilderExtensions
{
    private const string Key = "Etcd.LoadReport";

    /// <summary>
    /// Sends a report of this server's load with each answer, as gRPC's ORCA has it (<c>endpoint-load-metrics-bin</c>): in the trailers of gRPC
    /// calls, and in a header of others, some 60 bytes. The policy <see cref="BalancingPolicies.LeastLoad"/> goes by it, which makes a difference
    /// where many clients call a service that is busy, for each of them sees its own calls only. It tells the requests in flight (<c>rif</c>), the
    /// part of the processors in use, and requests and errors per second; gRPC's <c>weighted_round_robin</c> and Envoy read it too. Call it before what handles requests,
    /// and where it is not to be seen from outside, let the gateway remove it.
    /// </summary>
    /// <param name="app">The application. A second call changes nothing.</param>
    public static IApplicationBuilder UseEtcdLoadReport(this IApplicationBuilder app)
    {
        ArgumentNullException.ThrowIfNull(app);
        if (app.Properties.TryAdd(Key, Key))
        {
            var time = app.ApplicationServices.GetKeyedService<TimeProvider>(EtcdServiceKeys.TimeProvider) ?? TimeProvider.System;
            app.UseMiddleware<LoadReportMiddleware>(new ServerLoad(time));
        }

        return app;
    }
}
