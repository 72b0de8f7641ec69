using Discovery.AspNetCore.Layouts;

namespace Discovery.AspNetCore.Channels;

/// <summary>Addresses such as <c>etcd:///greeter</c>. The path names the service, for the host of a URI loses its case.</summary>
internal static class EtcdAddress
{
    public const string Scheme = "etcd";

    public static bool Is(Uri? address) => address is { IsAbsoluteUri: true, Scheme: Scheme };

    /// <summary>The service that an address names.</summary>
    /// <exception cref="ArgumentException">It names none.</exception>
    public static string ServiceNameOf(Uri address)
    {
        var shown = ForeignText.HideUser(address.OriginalString);
        if (!Is(address))
        {
            throw new ArgumentException($"'{shown}' is no address of a service in etcd; one is e.g. etcd:///greeter.", nameof(address));
        }

        var path = address.AbsolutePath;
        var name = Uri.UnescapeDataString(path.StartsWith('/') ? path[1..] : path);
        var example = name.Length > 0 && !name.Contains('@', StringComparison.Ordinal) ? name : "greeter";
        if (address.Authority.Length > 0 || address.UserInfo.Length > 0)
        {
            throw new ArgumentException(
                $"'{shown}' has a host. Which etcd is asked is set by Etcd:Endpoints, and the service stands behind three slashes, "
                + $"in its own case, e.g. etcd:///{example}.",
                nameof(address));
        }

        if (address.Query.Length > 0 || address.Fragment.Length > 0)
        {
            throw new ArgumentException(
                $"'{shown}' has more than a service's name: settings stand under Etcd:Discovery:Services. Valid is e.g. etcd:///{example}.",
                nameof(address));
        }

        return ServiceNames.GetProblem(name) is { } problem
            ? throw new ArgumentException($"'{shown}' names no service: {problem}. Valid is e.g. etcd:///greeter.", nameof(address))
            : name;
    }
}
