using System.Buffers;
using System.Collections.Frozen;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Registration;

namespace Discovery.AspNetCore.Hosting.Authorities;

/// <summary>
/// The names that grpc-go makes of etcd targets and sends as <c>:authority</c>. It takes what follows the third slash of the target:
/// <c>openim:///User/</c> becomes <c>User/</c>, <c>etcd:///services/greeter</c> becomes <c>services/greeter</c>, or
/// <c>services%2Fgreeter</c> from version 1.57 on; the target of go-zero names the members of etcd there. Kestrel takes none of them for a host.
/// </summary>
internal sealed class GoAuthorities(ClusterCatalog clusters, IServiceProvider services, LayoutCatalog layouts)
{
    private static readonly SearchValues<char> Ordinary = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]");

    // Kestrel's options are made before what the settings of a cluster need is.
    private readonly Lazy<RegistrationSettings[]> _settings = new(() => [.. clusters.Registering.Select(c => c.GetService<RegistrationSettings>(services))]);
    private volatile Known? _known;

    /// <summary>The host that an authority stands for, or null when it is none of this application's services.</summary>
    public string? FindHost(string authority)
    {
        // Ordinary hosts cost this look only.
        if (!authority.AsSpan().ContainsAnyExcept(Ordinary))
        {
            return null;
        }

        var known = _known;
        if (known is null || !known.Options.SequenceEqual(_settings.Value.Select(static s => s.Current)))
        {
            _known = known = Read([.. _settings.Value.Select(static s => s.Current)]);
        }

        if ((known.Hosts.GetValueOrDefault(authority) ?? known.Hosts.GetValueOrDefault(Uri.UnescapeDataString(authority))) is { } host)
        {
            return host;
        }

        return known.GoZeroHost is not null && IsMemberList(authority) ? known.GoZeroHost : null;
    }

    /// <summary>The part of a target that grpc-go makes an authority of.</summary>
    private static string PathOf(string target)
    {
        var scheme = target.IndexOf(":///", StringComparison.Ordinal);
        return scheme < 0 ? target : target[(scheme + 4)..];
    }

    /// <summary>What the target of go-zero has in this place: several members of etcd. One alone is a valid host.</summary>
    private static bool IsMemberList(string authority)
        => authority.Split(',') is { Length: > 1 } members
            && Array.TrueForAll(members, static m => m.Length > 0 && m.All(static c => char.IsAsciiLetterOrDigit(c) || ".-_[]:".Contains(c, StringComparison.Ordinal)));

    private Known Read(EtcdRegistrationOptions[] registrations)
    {
        var hosts = new Dictionary<string, string>(StringComparer.Ordinal);
        string? goZeroHost = null;
        foreach (var (options, name, service) in registrations.Where(static o => o is { Enabled: true, AcceptGoAuthority: true })
            .SelectMany(static o => RegistrationRecord.ServicesOf(o).Select(s => (o, s.Name, s.Options))))
        {
            var host = ServiceAuthority.BaseAddress(Uri.UriSchemeHttp, name).Host;
            foreach (var layout in layouts.Parse(service.Layout ?? options.Layout))
            {
                var path = PathOf(layout.GetPrefix(name)).TrimEnd('/');
                foreach (var target in new[] { name, path })
                {
                    hosts.TryAdd(target, host);
                    hosts.TryAdd(target + "/", host);
                }

                if (layout is GoZeroLayout)
                {
                    goZeroHost ??= host;
                }
            }
        }

        return new Known(registrations, hosts.ToFrozenDictionary(StringComparer.Ordinal), goZeroHost);
    }

    private sealed record Known(EtcdRegistrationOptions[] Options, FrozenDictionary<string, string> Hosts, string? GoZeroHost);
}
