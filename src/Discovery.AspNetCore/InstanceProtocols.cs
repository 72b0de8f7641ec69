namespace Discovery.AspNetCore;

/// <summary>The versions of HTTP that an instance speaks, as its record says.</summary>
[Flags]
public enum InstanceProtocols
{
    /// <summary>The record does not say. The instance gets calls of both kinds, until it refuses one.</summary>
    Unspecified = 0,

    /// <summary>HTTP/1.1; <c>h1</c> in records.</summary>
    Http1 = 1,

    /// <summary>HTTP/2, without TLS by prior knowledge; <c>h2</c> in records.</summary>
    Http2 = 2,
}
