namespace Discovery.AspNetCore;

/// <summary>
/// The names of the built-in wire formats, for <see cref="EtcdRegistrationOptions.Layout"/> and <see cref="EtcdDiscoveryOptions.Layout"/>.
/// </summary>
public static class ServiceLayouts
{
    /// <summary>
    /// The records of etcd's own Go package <c>naming/endpoints</c>, with metadata as a text of JSON, which every version of grpc-go bears;
    /// the default.
    /// </summary>
    public const string EtcdNaming = "EtcdNaming";

    /// <summary>
    /// As <see cref="EtcdNaming"/>, with metadata as a JSON object: for programs that read it as one. Go clients by etcd's resolver can crash on it.
    /// </summary>
    public const string EtcdNamingObject = "EtcdNamingObject";

    /// <summary>The records of OpenIM v1 and v2.</summary>
    public const string OpenIm = "OpenIm";

    /// <summary>The records of go-zero.</summary>
    public const string GoZero = "GoZero";

    /// <summary>The records of Kratos.</summary>
    public const string Kratos = "Kratos";

    /// <summary>The records of Kitex' <c>registry-etcd</c>.</summary>
    public const string Kitex = "Kitex";
}
