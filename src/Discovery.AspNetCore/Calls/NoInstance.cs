using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Calls;

/// <summary>What a caller gets when a call can go nowhere: for gRPC the status UNAVAILABLE with the reason, else an exception.</summary>
internal static class NoInstance
{
    public const string GrpcMediaType = "application/grpc";

    /// <summary>Whether a request is a gRPC call.</summary>
    public static bool IsGrpc(HttpRequestMessage request)
        => request.Content is { } content
            && MessageParts.HeadersOf(content) is { } headers
            && headers.NonValidated.TryGetValues("Content-Type", out var values)
            && IsGrpc(values.ToString());

    /// <summary>Whether a type of content is gRPC's.</summary>
    public static bool IsGrpc(string contentType) => contentType.StartsWith(GrpcMediaType, StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// The answer to a call that was not sent. Handlers that retry or hedge take an answer of gRPC for a success, whatever its status: where there may be
    /// some, a gRPC call fails by an exception too, of which its client makes UNAVAILABLE because of the cause.
    /// </summary>
    public static Task<HttpResponseMessage> AnswerAsync(HttpRequestMessage request, string reason, Exception? cause)
    {
        var isGrpc = IsGrpc(request);
        if (!isGrpc || TriedInstances.Of(request) is { Request: not null })
        {
            // The client's status has the message of each inner exception, and the reason says it all.
            return Task.FromException<HttpResponseMessage>(
                new HttpRequestException(HttpRequestError.ConnectionError, reason, isGrpc ? new IOException("Nothing was sent.") : cause));
        }

        var response = new HttpResponseMessage(HttpStatusCode.OK)
        {
            Version = HttpVersion.Version20,
            RequestMessage = request,
            Content = new ByteArrayContent([]) { Headers = { ContentType = new MediaTypeHeaderValue(GrpcMediaType) } },
        };
        response.Headers.TryAddWithoutValidation("grpc-status", "14");
        response.Headers.TryAddWithoutValidation("grpc-message", Uri.EscapeDataString(reason));
        return Task.FromResult(response);
    }

    /// <summary>Why no instance could be chosen.</summary>
    public static string Explain(ServicePool pool, PoolSnapshot current, in CallNeeds needs, CallSteering? steering)
    {
        var service = pool.ServiceName;
        var scheme = needs.Scheme;
        if (steering?.Instance is { } instance)
        {
            return current.Has(instance)
                ? $"Instance '{instance}' of service '{service}' (discovery-instance) supports no {scheme} calls."
                : $"Service '{service}' has no instance '{instance}' (discovery-instance); it has {Count(current.Instances.Count)}"
                    + (current.Instances.Count > 0 ? $", e.g. '{current.Instances[0].Record.InstanceId ?? current.Instances[0].Record.Address}'." : ".");
        }

        var count = current.Snapshot.Count;
        if (count == 0 && pool.SkippedRecords is > 0 and var skipped)
        {
            return $"Service '{service}' has no instance: {skipped} {(skipped == 1 ? "record" : "records")} under '{current.Snapshot.Prefix}' "
                + $"{(skipped == 1 ? "is" : "are")} no instance in the layout '{pool.Options.Layout}' (Etcd:Discovery:Layout); the log says why.";
        }

        if (count == 0)
        {
            return $"Service '{service}' has no instance: etcd has no key under '{current.Snapshot.Prefix}' (revision "
                + $"{current.Snapshot.Revision}). Check the service's name, which is case-sensitive, whether its servers run and are "
                + $"registered, and whether both sides have the same layout (Etcd:Discovery:Layout is '{pool.Options.Layout}').";
        }

        if (current.Refused == count)
        {
            return $"Service '{service}' has {Count(count)}, but none of them may be dialled (Etcd:Discovery:AllowedNetworks, AllowedPorts, AllowLoopback): "
                + $"{string.Join(", ", current.Snapshot.Instances.Take(3))}.";
        }

        if (current.Instances.Count == 0)
        {
            return $"Service '{service}' has {Count(count)}, which vanished from etcd at once and cannot be connected to any longer.";
        }

        if (current.Balancers.Count == 0)
        {
            return $"Service '{service}' has {Count(count)}, but none of them fits Etcd:Discovery:Services:{service}:Select ({pool.Options.Select}).";
        }

        if (needs.Version is { } version && !current.Balancers.Versions.Contains(version, StringComparer.Ordinal))
        {
            string[] versions = [.. current.Balancers.Versions.Order(StringComparer.Ordinal).Take(5)];
            return $"Service '{service}' has {Count(count)}, but none of version '{version}' (discovery-version); "
                + (versions.Length == 0 ? "their records name no version." : $"there are the versions {string.Join(", ", versions)}.");
        }

        if (current.For(needs, hashKey: null) is not null)
        {
            return $"Service '{service}' has {Count(count)}, and all that support {scheme} calls are ejected because they failed. "
                + "Etcd:Discovery:Ejection:PanicThresholdPercent (default: 30) above 0 calls them nevertheless when nearly all are.";
        }

        if (current.For(needs with { Protocol = InstanceProtocols.Unspecified }, hashKey: null) is not null)
        {
            return $"Service '{service}' has {Count(count)}, but none of them speaks {NameOf(needs.Protocol)} at its {scheme} address, as their records say (protocols). "
                + HowToSpeak(current, needs);
        }

        return $"Service '{service}' has {Count(count)}, but none of them supports {scheme} calls. Set Etcd:Discovery:Scheme, or the "
            + $"client's base address, to {(scheme == Uri.UriSchemeHttps ? Uri.UriSchemeHttp : Uri.UriSchemeHttps)}.";
    }

    private static string HowToSpeak(PoolSnapshot current, in CallNeeds needs)
    {
        var other = needs.IsHttps ? Uri.UriSchemeHttp : Uri.UriSchemeHttps;
        if (current.For(needs with { Scheme = other }, hashKey: null) is not null)
        {
            return $"At {other} it is spoken: set Etcd:Discovery:Scheme, or the client's base address, to {other}.";
        }

        return HowToSpeak(needs.Protocol, needs.Scheme);
    }

    private static string HowToSpeak(InstanceProtocols protocol, string scheme)
        => protocol == InstanceProtocols.Http2 && scheme == Uri.UriSchemeHttp
            ? "A gRPC call needs HTTP/2. Without TLS, Kestrel speaks it if it is told to speak it alone: set the servers' "
                + "Kestrel:EndpointDefaults:Protocols to Http2, or Kestrel:Endpoints:<name>:Protocols of one endpoint."
            : "A gRPC call needs HTTP/2; an HttpClient asks for it by DefaultRequestVersion and DefaultVersionPolicy.";

    /// <summary>Why an instance that did not say what it speaks was of no use.</summary>
    public static string ExplainRefusal(ServiceInstance instance, InstanceProtocols asked, string scheme)
        => $"Instance {instance.Address} of service '{instance.ServiceName}' speaks no {NameOf(asked)} at its {scheme} address. {HowToSpeak(asked, scheme)}";

    private static string NameOf(InstanceProtocols protocol) => protocol == InstanceProtocols.Http2 ? "HTTP/2" : "HTTP/1.1";

    /// <summary>Why the chosen instances were of no use.</summary>
    public static string Explain(string service, ConnectFailures failures)
        => $"No connection to service '{service}': {Count(failures.Instances.Count)} tried ({string.Join(", ", failures.Instances.Take(5))}"
            + $"{(failures.Instances.Count > 5 ? ", …" : "")}). {failures.Last!.Message}";

    /// <summary>Why a request to another host is not sent.</summary>
    public static string ExplainOtherHost(string service, string host)
        => $"The request is for host '{host}', but this client sends everything to service '{service}', with all headers. Use another client "
            + $"for other hosts. If '{host}' is meant to be the service, set the client's base address to it where AddHttpClient is called, "
            + "or Etcd:Discovery:AllowOtherHosts to true.";

    /// <summary>Why a further attempt is not made.</summary>
    public static string ExplainBudget(ServicePool pool)
        => string.Create(
            CultureInfo.InvariantCulture,
            $"A further attempt at service '{pool.ServiceName}' was not made: retries are limited to {pool.Options.RetryBudgetPercent} % of the calls (Etcd:Discovery:RetryBudgetPercent).");

    private static string Count(int instances) => instances == 1 ? "1 instance" : $"{instances} instances";
}
