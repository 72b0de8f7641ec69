using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Layouts;

/// <summary>An address as records hold it: <c>ip:port</c>, <c>name:port</c>, <c>[ipv6]:port</c>, or a URL of one of these.</summary>
internal readonly record struct ServiceAddress(string? Scheme, string Host, int Port)
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Whether the host was written as a name with a dot at its end, which is looked up as it is, without the domains that a resolver appends.</summary>
    public bool IsAbsolute { get; init; }

    /// <summary>The value of a record as text, or <see langword="null"/> when it is not UTF-8.</summary>
    public static string? DecodeText(EtcdKeyValue record)
    {
        try
        {
            return StrictUtf8.GetString(record.Value.Span);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    /// <summary>The instance at the address, of which nothing else is known.</summary>
    public ServiceInstance ToInstance(string serviceName, EtcdKeyValue record) => new()
    {
        Key = record.Key,
        ServiceName = serviceName,
        Scheme = Scheme,
        Host = Host,
        Port = Port,
        IsAbsoluteName = IsAbsolute,
        Revision = record.ModRevision,
    };

    /// <summary>Reads an address that somebody else wrote.</summary>
    public static bool TryParse(string? text, out ServiceAddress address, [NotNullWhen(false)] out string? problem)
    {
        address = default;
        problem = null;
        if (string.IsNullOrWhiteSpace(text))
        {
            problem = "the address is empty";
            return false;
        }

        string? scheme = null;
        var rest = text.Trim();
        var separator = rest.IndexOf("://", StringComparison.Ordinal);
        if (separator >= 0)
        {
            scheme = rest[..separator].ToLowerInvariant();
            if (scheme is not ("http" or "https"))
            {
                problem = $"the scheme of '{Show(text)}' is neither http nor https";
                return false;
            }

            rest = rest[(separator + 3)..].TrimEnd('/');
        }

        if (rest.Contains('@', StringComparison.Ordinal))
        {
            problem = DescribeUser(text);
            return false;
        }

        var colon = rest.LastIndexOf(':');
        if (colon <= 0
            || !int.TryParse(rest.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            || port is < 1 or > ushort.MaxValue)
        {
            problem = $"'{Show(text)}' has no port from 1 to 65535";
            return false;
        }

        var host = rest[..colon];
        if (host is ['[', .. var inner, ']'] && inner.Contains(':', StringComparison.Ordinal))
        {
            host = inner;
        }
        else if (host.Contains(':', StringComparison.Ordinal))
        {
            problem = $"'{Show(text)}' is an IPv6 address without brackets";
            return false;
        }

        if (IsPlainIPv4(host))
        {
            address = new ServiceAddress(scheme, host, port);
            return true;
        }

        if (Uri.CheckHostName(host) == UriHostNameType.Unknown)
        {
            problem = $"'{Show(text)}' has no valid host";
            return false;
        }

        if (IPAddress.TryParse(host, out var ip))
        {
            if (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any))
            {
                problem = $"'{Show(text)}' is a wildcard, not an address";
                return false;
            }

            // Some programs read 010.0.0.1 as 8.0.0.1 and others as 10.0.0.1, and 10.1 as 10.0.0.1: what the writer meant is not known.
            if (ip.AddressFamily == AddressFamily.InterNetwork)
            {
                problem = $"the host of '{Show(text)}' is no IPv4 address as four plain numbers, such as 10.0.0.1";
                return false;
            }

            // One address has many spellings; records, connections and comparisons use the canonical one.
            address = new ServiceAddress(scheme, (ip.IsIPv4MappedToIPv6 ? ip.MapToIPv4() : ip).ToString(), port);
            return true;
        }

        // So has a name, which has no case and may end with a dot.
        var name = host.EndsWith('.') ? host[..^1] : host;
        if (name.Length == 0 || IPAddress.TryParse(name, out _))
        {
            problem = $"'{Show(text)}' has no valid host";
            return false;
        }

        address = new ServiceAddress(scheme, name.ToLowerInvariant(), port) { IsAbsolute = name.Length < host.Length };
        return true;
    }

    /// <summary>What is wrong with an address that has a user, and mostly a password, before an <c>@</c>.</summary>
    public static string DescribeUser(string text) => $"'{Show(text)}' has a user in it, which no instance has";

    private static string Show(string text) => ForeignText.ShowAddress(text);

    /// <summary>
    /// Whether a host is an IPv4 address in its canonical form and no wildcard, as it is in nearly all records: then there is nothing to check or
    /// to change.
    /// </summary>
    private static bool IsPlainIPv4(string host)
    {
        var (octets, octet, digits, isWildcard) = (0, 0, 0, true);
        foreach (var c in host)
        {
            if (char.IsAsciiDigit(c))
            {
                octet = (octet * 10) + (c - '0');
                if (++digits > 3 || octet > byte.MaxValue || (digits > 1 && octet < 10))
                {
                    return false;
                }

                isWildcard &= octet == 0;
            }
            else if (c == '.' && digits > 0)
            {
                (octets, octet, digits) = (octets + 1, 0, 0);
            }
            else
            {
                return false;
            }
        }

        return octets == 3 && digits > 0 && !isWildcard;
    }
}
