using System.Net;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Instances;

/// <summary>
/// Tells once that a service redirects calls to https, as UseHttpsRedirection of the templates does. Redirects are not followed, so every such call
/// fails, and the servers look well.
/// </summary>
internal sealed partial class RedirectLog(ILogger logger)
{
    private int _isSaid;

    /// <summary>An instance answered a call with a redirect, or a gRPC call with something else than gRPC's.</summary>
    public void OnAnswer(HttpRequestMessage request, HttpResponseMessage response, InstanceState instance)
    {
        if (Volatile.Read(ref _isSaid) == 0 && IsToHttps(request, response) && Interlocked.Exchange(ref _isSaid, 1) == 0)
        {
            Log.ToHttps(logger, instance.Record.ServiceName, instance.Record.Address, (int)response.StatusCode);
        }
    }

    private static bool IsToHttps(HttpRequestMessage request, HttpResponseMessage response)
        => response.StatusCode is HttpStatusCode.Moved or HttpStatusCode.Found or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect
            && request.RequestUri is { } called
            && called.Scheme == Uri.UriSchemeHttp
            && response.Headers.Location is { IsAbsoluteUri: true } location
            && location.Scheme == Uri.UriSchemeHttps
            && location.AbsolutePath == called.AbsolutePath;

    private static partial class Log
    {
        [LoggerMessage(2204, LogLevel.Warning, "Service '{Service}' answers http with a redirect to https ({Status} from {Address}), and no call succeeds: "
            + "set Etcd:Discovery:Services:{Service}:Scheme, or the client's base address, to https, or leave UseHttpsRedirection out on the servers' "
            + "http endpoint.")]
        public static partial void ToHttps(ILogger logger, string service, string address, int status);
    }
}
