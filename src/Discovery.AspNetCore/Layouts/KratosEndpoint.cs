using System.Diagnostics.CodeAnalysis;

namespace Discovery.AspNetCore.Layouts;

/// <summary>
/// The URLs in records of Kratos. The scheme says the protocol, and whether there is TLS: <c>grpcs</c> and <c>https</c>, or
/// <c>isSecure=true</c> behind the address, as older versions write it.
/// </summary>
internal static class KratosEndpoint
{
    /// <summary>The endpoints of an instance, one for each protocol that it speaks; gRPC where that is not known.</summary>
    public static IEnumerable<string> Of(ServiceInstance instance)
    {
        var protocols = InstanceMetadata.ProtocolsOf(instance);
        if (protocols == InstanceProtocols.Unspecified || protocols.HasFlag(InstanceProtocols.Http2))
        {
            yield return Write("grpc", instance);
        }

        if (protocols.HasFlag(InstanceProtocols.Http1))
        {
            yield return Write("http", instance);
        }
    }

    /// <summary>Reads an endpoint.</summary>
    public static bool TryParse(
        string? text, out ServiceAddress address, out InstanceProtocols protocols, [NotNullWhen(false)] out string? problem)
    {
        (address, protocols) = (default, InstanceProtocols.Unspecified);
        var parts = (text ?? "").Trim().Split("://", 2);
        if (parts.Length < 2)
        {
            problem = $"'{ForeignText.ShowAddress(text ?? "")}' is no URL";
            return false;
        }

        var scheme = parts[0].ToLowerInvariant();
        if (scheme is not ("grpc" or "grpcs" or "http" or "https"))
        {
            problem = $"the scheme of '{ForeignText.ShowAddress(text!)}' is none of grpc, grpcs, http and https";
            return false;
        }

        var end = parts[1].IndexOfAny(['/', '?', '#']);
        if (!ServiceAddress.TryParse(end < 0 ? parts[1] : parts[1][..end], out address, out problem))
        {
            // A password may have what ends an address.
            problem = parts[1].Contains('@', StringComparison.Ordinal) ? ServiceAddress.DescribeUser(text!) : problem;
            return false;
        }

        var isSecure = scheme.EndsWith('s') || (end >= 0 && IsSecure(parts[1][end..]));
        address = address with { Scheme = isSecure ? Uri.UriSchemeHttps : Uri.UriSchemeHttp };
        protocols = scheme.StartsWith("grpc", StringComparison.Ordinal) ? InstanceProtocols.Http2 : InstanceProtocols.Http1;
        return true;
    }

    // All versions of Kratos read a plain endpoint in the long form, and the newer ones an endpoint with TLS by its scheme alone.
    private static string Write(string scheme, ServiceInstance instance)
        => instance.Scheme == Uri.UriSchemeHttps ? $"{scheme}s://{instance.Address}" : $"{scheme}://{instance.Address}?isSecure=false";

    private static bool IsSecure(string rest)
        => rest.Split('?', '&', '#').Any(static p => p.Equals("isSecure=true", StringComparison.OrdinalIgnoreCase) || p == "isSecure=1");
}
