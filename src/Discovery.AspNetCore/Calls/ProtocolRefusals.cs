using System.Net;
using Discovery.AspNetCore.Connections;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// Learns from a refusal that an instance does not speak a call's version of HTTP, where its record does not say what it speaks: Go servers
/// and others write no protocols, and an application with a REST and a gRPC port has an instance for each.
/// </summary>
internal static class ProtocolRefusals
{
    /// <summary>HTTP_1_1_REQUIRED: what Kestrel answers to HTTP/2 at an address for HTTP/1.1. RFC 9113, section 7.</summary>
    private const long Http11Required = 0xd;

    /// <summary>The length of Kestrel's words, "An HTTP/1.x request was sent to an HTTP/2 only endpoint.".</summary>
    private const long KestrelsLength = 56;

    /// <summary>The failure of a call.</summary>
    /// <returns>Whether it is a refusal, which says nothing of the health of an instance that did not say what it speaks.</returns>
    public static bool Learn(Exception exception, HttpRequestMessage request, InstanceState instance)
    {
        if (!IsRefusal(exception, request, instance.Transport!))
        {
            return false;
        }

        instance.OnRefused(ProtocolOf(request));
        return instance.Record.Protocols == InstanceProtocols.Unspecified;
    }

    /// <summary>A failure to connect.</summary>
    /// <returns>Whether it is a refusal, which says nothing of the health of an instance that did not say what it speaks.</returns>
    public static bool Learn(InstanceConnectException failure, InstanceState instance)
    {
        if (failure.InnerException is not ProtocolRefusedException { Offered: (InstanceProtocols.Http1 or InstanceProtocols.Http2) and var refused })
        {
            return false;
        }

        instance.OnRefused(refused);
        return instance.Record.Protocols == InstanceProtocols.Unspecified;
    }

    /// <summary>
    /// Adds to a failure that is a refusal what to do about it: the platform's words name neither the instance nor a setting. A server that closes
    /// at once may cut off what it says, so what was learnt before counts too.
    /// </summary>
    /// <exception cref="HttpRequestException">It is one.</exception>
    public static void Explain(Exception exception, HttpRequestMessage request, InstanceState instance)
    {
        if (exception is HttpRequestException failure
            && ((instance.RefusedProtocols & ProtocolOf(request)) != InstanceProtocols.Unspecified || IsRefusal(exception, request, instance.Transport!)))
        {
            throw new HttpRequestException(
                failure.HttpRequestError, NoInstance.ExplainRefusal(instance.Record, ProtocolOf(request), RequestScheme.Of(request)), exception);
        }
    }

    /// <summary>
    /// An answer to an HTTP/1.1 request. Kestrel's refusal is told from a 400 of the application by what it lacks: no date, no server, and its
    /// connection closed.
    /// </summary>
    /// <returns>Whether it is a refusal, which says nothing of what an instance serves that did not say what it speaks.</returns>
    public static bool Learn(HttpResponseMessage response, InstanceState instance)
    {
        if (response.StatusCode != HttpStatusCode.BadRequest
            || response.Version.Major != 1
            || response.Headers is not { ConnectionClose: true, Date: null, Server.Count: 0 }
            || response.Content.Headers.ContentLength != KestrelsLength)
        {
            return false;
        }

        instance.OnRefused(InstanceProtocols.Http1);
        return instance.Record.Protocols == InstanceProtocols.Unspecified;
    }

    /// <summary>
    /// Kestrel refuses HTTP/2 in words of HTTP/2. Others answer in the protocol that they speak, which the connection has seen.
    /// </summary>
    private static bool IsRefusal(Exception exception, HttpRequestMessage request, InstanceTransport transport)
    {
        if (transport.IsAnsweredInAnother(ProtocolOf(request)))
        {
            return true;
        }

        for (var e = exception; e is not null; e = e.InnerException)
        {
            if (e is HttpProtocolException { ErrorCode: Http11Required } or HttpRequestException { HttpRequestError: HttpRequestError.VersionNegotiationError })
            {
                return true;
            }
        }

        return false;
    }

    private static InstanceProtocols ProtocolOf(HttpRequestMessage request)
        => !RequestScheme.IsTls(request) ? RequestProtocol.WithoutTls(request)
            : request.Version.Major >= 2 ? InstanceProtocols.Http2
            : InstanceProtocols.Http1;
}
