namespace Discovery.Etcd.DotnetEtcd.Tests.Support;

/// <summary>How proxies, load balancers and members end a stream.</summary>
public enum StreamEnding
{
    /// <summary>In good order: with the status OK.</summary>
    Cleanly,

    /// <summary>Without any status: END_STREAM and no trailers.</summary>
    WithoutStatus,

    /// <summary>By RST_STREAM with the code CANCEL.</summary>
    ByReset,

    /// <summary>With the status Unavailable.</summary>
    Unavailable,

    /// <summary>Not at all: nothing comes any more.</summary>
    Never,
}
