using System.Net;

namespace Discovery.Etcd.Connections;

/// <summary>Reads the setting <c>Etcd:Endpoints</c>.</summary>
internal static class EndpointList
{
    private const string Example = "e.g. http://10.0.0.1:2379";

    /// <summary>Reads all entries, commas included. Endpoints named twice count once.</summary>
    /// <param name="entries">The entries.</param>
    /// <param name="secure">Whether an entry without scheme means https.</param>
    /// <param name="failures">Receives one sentence for each entry that is wrong.</param>
    /// <param name="section">The section of the setting.</param>
    public static IReadOnlyList<Uri> Parse(IEnumerable<string?> entries, bool secure, ICollection<string> failures, string section = EtcdClientOptions.DefaultSection)
    {
        var text = string.Join(',', entries);
        if (FindSecret(text, section) is { } secret)
        {
            // Nothing else is said of the list: a password may have commas, and its parts look like entries.
            failures.Add(secret);
            return [];
        }

        var endpoints = new List<Uri>();
        var any = false;
        foreach (var entry in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            any = true;
            if (ParseOne(entry, secure, section, out var problem) is not { } endpoint)
            {
                failures.Add(problem);
            }
            else if (!endpoints.Contains(endpoint))
            {
                endpoints.Add(endpoint);
            }
        }

        if (!any)
        {
            failures.Add($"{section}:Endpoints is empty: set it to the client URLs of the etcd members, {Example}.");
        }

        return endpoints;
    }

    /// <summary>What is wrong with an entry that may hold a password; it is not repeated.</summary>
    private static string? FindSecret(string entry, string section)
        => entry.Contains('@', StringComparison.Ordinal)
            ? $"{section}:Endpoints holds an endpoint with a user in it: set {section}:Username and {section}:Password instead, and the endpoint alone here, {Example}."
            : IsConnectionString(entry)
                ? $"{section}:Endpoints holds a connection string: set {section}:Username and {section}:Password instead, and the endpoints alone here, {Example}."
                : null;

    // As those that read connection strings do: with spaces around the sign, and under either name.
    private static bool IsConnectionString(string entry)
        => entry.Replace(" ", "", StringComparison.Ordinal) is var text
            && (text.Contains("Password=", StringComparison.OrdinalIgnoreCase) || text.Contains("Pwd=", StringComparison.OrdinalIgnoreCase));

    private static Uri? ParseOne(string entry, bool secure, string section, out string problem)
    {
        problem = "";
        var text = entry.Contains("://", StringComparison.Ordinal) ? entry : (secure ? "https://" : "http://") + entry;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Host.Length == 0)
        {
            problem = $"{section}:Endpoints is '{entry}', which is no address: set a URL with host and port, {Example}.";
        }
        else if (uri.Scheme is not ("http" or "https"))
        {
            problem = $"{section}:Endpoints is '{entry}', whose scheme is neither http nor https: set a client URL of etcd, {Example}.";
        }
        else if (!HasPort(text) || uri.Port == 0)
        {
            problem = $"{section}:Endpoints is '{entry}', which names no port: etcd's is 2379 unless configured otherwise, {Example}.";
        }
        else if (uri.PathAndQuery != "/" || uri.Fragment.Length > 0)
        {
            problem = $"{section}:Endpoints is '{entry}', which has a path: gRPC uses none, {Example}.";
        }
        else if (uri.IdnHost.Contains('%', StringComparison.Ordinal))
        {
            problem = $"{section}:Endpoints is '{entry}', whose address has a zone, which gRPC's addresses cannot: set a name or an address without one, {Example}.";
        }
        else if (IPAddress.TryParse(uri.Host, out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any)))
        {
            problem = $"{section}:Endpoints is '{entry}', which is what etcd listens on: set the address by which it is reached, {Example}.";
        }
        else
        {
            return new Uri(uri.GetLeftPart(UriPartial.Authority));
        }

        return null;
    }

    // Uri fills in 80 and 443; etcd never listens there by default, so a port left out is a mistake to be told.
    private static bool HasPort(string text)
    {
        var authority = text[(text.IndexOf("://", StringComparison.Ordinal) + 3)..];
        var end = authority.IndexOfAny(['/', '?', '#']);
        authority = end < 0 ? authority : authority[..end];
        return authority.LastIndexOf(':') > authority.LastIndexOf(']') && char.IsAsciiDigit(authority[^1]);
    }
}
