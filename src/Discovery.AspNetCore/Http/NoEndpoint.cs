using System.Net;
using System.Net.Http.Headers;

namespace Discovery.AspNetCore.Http;

/// <summary>What a caller gets when a call can go nowhere: for gRPC the status UNAVAILABLE with the reason, else an exception.</summary>
internal static class NoEndpoint
{
    public const string GrpcMediaType = "application/grpc";

    /// <exception cref="HttpRequestException">The request is not a gRPC call.</exception>
    public static HttpResponseMessage Answer(HttpRequestMessage request, string reason, Exception? cause)
    {
        if (request.Content?.Headers.ContentType?.MediaType is not { } type
            || !type.StartsWith(GrpcMediaType, StringComparison.OrdinalIgnoreCase))
        {
            throw new HttpRequestException(HttpRequestError.ConnectionError, reason, cause);
        }

        var response = new HttpResponseMessage(HttpStatusCode.OK)
        {
            Version = HttpVersion.Version20,
            RequestMessage = request,
            Content = new ByteArrayContent([]) { Headers = { ContentType = new MediaTypeHeaderValue(GrpcMediaType) } },
        };
        response.Headers.TryAddWithoutValidation("grpc-status", "14");
        response.Headers.TryAddWithoutValidation("grpc-message", Uri.EscapeDataString(reason));
        return response;
    }

    /// <summary>Why no endpoint could be chosen.</summary>
    public static string Explain(ServicePool pool, PoolState state, string scheme, CallSteering steering)
    {
        var service = pool.ServiceName;
        if (steering.Instance is { } instance)
        {
            return state.Has(instance)
                ? $"Instance '{instance}' of service '{service}' (discovery-instance) takes no {scheme} calls."
                : $"Service '{service}' has no instance '{instance}' (discovery-instance); it has {Count(state.Endpoints.Count)}"
                    + (state.Endpoints.Count > 0 ? $", e.g. '{state.Endpoints[0].Instance.InstanceId ?? state.Endpoints[0].Instance.Address}'." : ".");
        }

        var count = state.Snapshot.Count;
        if (count == 0 && pool.SkippedRecords is > 0 and var skipped)
        {
            return $"Service '{service}' has no instance: {skipped} {(skipped == 1 ? "record" : "records")} under '{state.Snapshot.Prefix}' "
                + $"{(skipped == 1 ? "is" : "are")} no instance in the layout '{pool.Options.Layout}' (Etcd:Discovery:Layout); the log says why.";
        }

        if (count == 0)
        {
            return $"Service '{service}' has no instance: etcd has no key under '{state.Snapshot.Prefix}' (revision "
                + $"{state.Snapshot.Revision}). Check the service's name, which is case-sensitive, whether its servers run and are "
                + $"registered, and whether both sides have the same layout (Etcd:Discovery:Layout is '{pool.Options.Layout}').";
        }

        if (state.Refused == count)
        {
            return $"Service '{service}' has {Count(count)}, but none of them may be dialled (Etcd:Discovery:AllowedNetworks, AllowedPorts): "
                + $"{string.Join(", ", state.Snapshot.Instances.Take(3))}.";
        }

        if (state.Endpoints.Count == 0)
        {
            return $"Service '{service}' has {Count(count)}, which vanished from etcd at once and cannot be connected to any longer.";
        }

        if (state.For(scheme) is not null)
        {
            return $"Service '{service}' has {Count(count)}, and all that take {scheme} calls are ejected because they failed. "
                + "Etcd:Discovery:Ejection:PanicThresholdPercent (default: 30) above 0 calls them nevertheless when nearly all are.";
        }

        return $"Service '{service}' has {Count(count)}, but none of them takes {scheme} calls. Set Etcd:Discovery:Scheme, or the "
            + $"client's base address, to {(scheme == Uri.UriSchemeHttps ? Uri.UriSchemeHttp : Uri.UriSchemeHttps)}.";
    }

    /// <summary>Why the chosen endpoints were of no use.</summary>
    public static string Explain(string service, List<ServiceEndpoint> tried, Exception last)
        => $"No connection to service '{service}': {Count(tried.Count)} tried ({string.Join(", ", tried.Take(5))}"
            + $"{(tried.Count > 5 ? ", …" : "")}). {last.GetBaseException().Message}";

    private static string Count(int instances) => instances == 1 ? "1 instance" : $"{instances} instances";
}
