using System.Globalization;
using System.Text.Json;
using Discovery.AspNetCore.Layouts;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.ProxyConfig;

/// <summary>
/// Reads one route or one cluster, written as in the section <c>ReverseProxy</c> of appsettings.json. YARP's own reader does it, so that both
/// mean the same; it is internal and reached by <c>LoadFromConfig</c>.
/// </summary>
internal static class DocumentReader
{
    private const string Section = "ReverseProxy";
    private const string Routes = "Routes";
    private const string Clusters = "Clusters";

    /// <summary>Stands for the id, which may hold what a path of a configuration cannot.</summary>
    private const string Placeholder = "document";

    private const int MaxLength = 200;

    /// <summary>What appsettings.json may have, a document may have too.</summary>
    private static readonly JsonDocumentOptions AsInConfiguration = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <summary>Reads a route.</summary>
    /// <exception cref="FormatException">The document is none; the message says why.</exception>
    public static RouteConfig ReadRoute(string id, ReadOnlyMemory<byte> json) => Read(json, Routes).Routes.Single() with { RouteId = id };

    /// <summary>Reads a cluster.</summary>
    /// <exception cref="FormatException">The document is none; the message says why.</exception>
    public static ClusterConfig ReadCluster(string id, ReadOnlyMemory<byte> json) => Read(json, Clusters).Clusters.Single() with { ClusterId = id };

    private static IProxyConfig Read(ReadOnlyMemory<byte> json, string kind)
    {
        var path = ConfigurationPath.Combine(Section, kind, Placeholder);
        var configuration = Parse(json, path);
        var reads = new TrackedSection.Reads();
        IProxyConfig config;
        try
        {
            config = ReadByYarp(new TrackedSection(configuration.GetSection(Section), reads));
        }
        catch (Exception e)
        {
            throw new FormatException($"{NameOf(reads.Last, path)} cannot be read: {ForeignText.Show(e.Message, MaxLength)}", e);
        }

        using var document = JsonDocument.Parse(json, AsInConfiguration);
        List<string> unread = [.. Unread(document.RootElement, path, reads).Select(p => NameOf(p, path)).Order(StringComparer.Ordinal)];
        return unread.Count == 0 ? config : throw new FormatException(
            $"YARP does not know {string.Join(", ", unread.Take(5))}, or has them in another shape");
    }

    /// <summary>The document as a part of the section that YARP reads.</summary>
    private static IConfigurationRoot Parse(ReadOnlyMemory<byte> json, string path)
    {
        try
        {
            using var stream = new MemoryStream(json.ToArray());
            var members = new ConfigurationBuilder().AddJsonStream(stream).Build().AsEnumerable()
                .Select(m => KeyValuePair.Create(ConfigurationPath.Combine(path, m.Key), m.Value));
            return new ConfigurationBuilder().AddInMemoryCollection(members.Prepend(KeyValuePair.Create(path, (string?)null))).Build();
        }
        catch (Exception e) when (e is FormatException or JsonException or InvalidDataException or InvalidOperationException)
        {
            throw new FormatException($"it is no JSON object: {ForeignText.Show((e.InnerException ?? e).Message, MaxLength)}", e);
        }
    }

    /// <summary>
    /// What YARP has not asked for, or for its value where it has members, and the other way round. The JSON tells it and not the configuration, which
    /// knows no empty objects.
    /// </summary>
    private static IEnumerable<string> Unread(JsonElement element, string path, TrackedSection.Reads reads) => element.ValueKind switch
    {
        JsonValueKind.Object when element.EnumerateObject().Any()
            => element.EnumerateObject().SelectMany(m => Unread(m.Value, ConfigurationPath.Combine(path, m.Name), reads)),
        JsonValueKind.Array when element.GetArrayLength() > 0
            => element.EnumerateArray().SelectMany((e, i) => Unread(e, ConfigurationPath.Combine(path, i.ToString(CultureInfo.InvariantCulture)), reads)),
        JsonValueKind.Object or JsonValueKind.Array => reads.HasMembers(path) ? [] : [path],
        JsonValueKind.Null => reads.Has(path) || reads.HasMembers(path) ? [] : [path],
        _ => reads.Has(path) ? [] : [path],
    };

    private static IProxyConfig ReadByYarp(IConfiguration configuration)
    {
        var services = new ServiceCollection().AddSingleton(typeof(ILogger<>), typeof(NullLogger<>));
        new Builder(services).LoadFromConfig(configuration);
        using var provider = services.BuildServiceProvider();
        return provider.GetRequiredService<IProxyConfigProvider>().GetConfig();
    }

    private static string NameOf(string path, string root) => $"'{ForeignText.Show(path[Math.Min(path.Length, root.Length + 1)..])}'";

    private sealed class Builder(IServiceCollection services) : IReverseProxyBuilder
    {
        public IServiceCollection Services => services;
    }
}
