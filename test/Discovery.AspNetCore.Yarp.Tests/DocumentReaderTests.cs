using System.Collections;
using System.Reflection;
using System.Text;
using Discovery.AspNetCore.Yarp.ProxyConfig;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.Tests;

/// <summary>A document in etcd means what it means in appsettings.json.</summary>
public sealed class DocumentReaderTests
{
    private const string Route = """
        {
          // As in appsettings.json, comments and commas at the end may stand here.
          "Order": 7,
          "maxRequestBodySize": 1000000,
          "ClusterId": "greeter",
          "AuthorizationPolicy": "admin",
          "RateLimiterPolicy": "few",
          "OutputCachePolicy": "short",
          "TimeoutPolicy": "long",
          "Timeout": "00:00:07",
          "CorsPolicy": "all",
          "Metadata": { "team": "a:b" },
          "Transforms": [ { "PathRemovePrefix": "/x" }, { "RequestHeader": "h", "Set": "v" } ],
          "Match": {
            "Methods": [ "GET", "PUT" ],
            "Hosts": [ "example.com", "*.example.org" ],
            "Path": "/x/{**rest}",
            "Headers": [ { "Name": "a", "Values": [ "1", "2" ], "Mode": "HeaderPrefix", "IsCaseSensitive": true } ],
            "QueryParameters": [ { "Name": "q", "Values": [ "1" ], "Mode": "Contains", "IsCaseSensitive": true } ],
          },
        }
        """;

    private const string Cluster = """
        {
          "LoadBalancingPolicy": "EtcdLeastLoad",
          "SessionAffinity": {
            "Enabled": true, "Policy": "Cookie", "FailurePolicy": "Redistribute", "AffinityKeyName": "k",
            "Cookie": {
              "Path": "/", "SameSite": "Strict", "HttpOnly": true, "MaxAge": "1.00:00:00", "Domain": "example.com",
              "IsEssential": true, "SecurePolicy": "Always", "Expiration": "02:00:00"
            }
          },
          "HealthCheck": {
            "Passive": { "Enabled": true, "Policy": "TransportFailureRate", "ReactivationPeriod": "00:01:00" },
            "Active": { "Enabled": true, "Interval": "00:00:10", "Timeout": "00:00:05", "Policy": "ConsecutiveFailures", "Path": "/health", "Query": "?a" },
            "AvailableDestinationsPolicy": "HealthyOrPanic"
          },
          "HttpClient": {
            "SslProtocols": [ "Tls12", "Tls13" ], "DangerousAcceptAnyServerCertificate": true, "MaxConnectionsPerServer": 10,
            "EnableMultipleHttp2Connections": true, "RequestHeaderEncoding": "utf-8", "ResponseHeaderEncoding": "latin1",
            "WebProxy": { "Address": "http://proxy:8080", "BypassOnLocal": true, "UseDefaultCredentials": false }
          },
          "HttpRequest": { "ActivityTimeout": "00:00:20", "Version": "2", "VersionPolicy": "RequestVersionExact", "AllowResponseBuffering": true },
          "Metadata": { "team": "x" },
          "Destinations": {
            "all": { "Address": "etcd://Greeter", "Health": "etcd://Greeter/health", "Host": "h", "Metadata": { "Etcd.Zone": "a" } },
            "one": { "Address": "https://10.0.0.1" }
          }
        }
        """;

    [Fact]
    public void All_that_YARP_reads_is_read_as_YARP_reads_it()
    {
        var expected = ReadByYarp($$"""{ "Routes": { "r": {{Route}} }, "Clusters": { "c": {{Cluster}} } }""");

        var route = DocumentReader.ReadRoute("r", Encoding.UTF8.GetBytes(Route));
        var cluster = DocumentReader.ReadCluster("c", Encoding.UTF8.GetBytes(Cluster));

        Assert.Equivalent(expected.Routes.Single(), route, strict: true);
        Assert.Equivalent(expected.Clusters.Single(), cluster, strict: true);
        Assert.Empty(MembersWithoutValue(route, nameof(RouteConfig)));
        Assert.Empty(MembersWithoutValue(cluster, nameof(ClusterConfig)));
    }

    [Fact]
    public void An_id_may_hold_what_a_path_of_a_configuration_cannot()
        => Assert.Equal("a:b/c", DocumentReader.ReadRoute("a:b/c", Encoding.UTF8.GetBytes(Route)).RouteId);

    [Theory]
    [InlineData("""{ "Destinatons": {} }""", "Destinatons")]
    [InlineData("""{ "Destinatons": [] }""", "Destinatons")]
    [InlineData("""{ "Destinatons": null }""", "Destinatons")]
    [InlineData("""{ "Destinatons": "" }""", "Destinatons")]
    [InlineData("""{ "HealthCheck": { "Pasive": {} } }""", "HealthCheck:Pasive")]
    [InlineData("""{ "LoadBalancingPolicy": {} }""", "LoadBalancingPolicy")]
    public void A_member_that_YARP_does_not_know_is_told_though_it_is_empty(string json, string member)
    {
        var error = Assert.Throws<FormatException>(() => DocumentReader.ReadCluster("c", Encoding.UTF8.GetBytes(json)));

        Assert.Contains($"YARP does not know '{member}'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_member_that_YARP_knows_may_be_empty()
    {
        const string Json = """
            { "LoadBalancingPolicy": "", "Metadata": {}, "HealthCheck": null, "HttpClient": { "SslProtocols": [] }, "Destinations": { "one": { "Address": "http://a", "Host": null } } }
            """;

        Assert.Equal("http://a", DocumentReader.ReadCluster("c", Encoding.UTF8.GetBytes(Json)).Destinations!["one"].Address);
        Assert.Equal("/", DocumentReader.ReadRoute("r", """{ "Match": { "Path": "/", "Methods": [], "Headers": [] }, "Transforms": [] }"""u8.ToArray()).Match.Path);
    }

    private static IProxyConfig ReadByYarp(string json)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(json));
        var services = new ServiceCollection().AddLogging();
        services.AddReverseProxy().LoadFromConfig(new ConfigurationBuilder().AddJsonStream(stream).Build());
        using var provider = services.BuildServiceProvider();
        return provider.GetRequiredService<IProxyConfigProvider>().GetConfig();
    }

    /// <summary>What the documents above leave out, so that they must be completed when YARP knows more.</summary>
    private static IEnumerable<string> MembersWithoutValue(object value, string path)
    {
        foreach (var property in value.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            var member = property.GetValue(value);
            if (member is null)
            {
                yield return $"{path}.{property.Name}";
            }
            else if (property.PropertyType.Namespace!.StartsWith("Yarp", StringComparison.Ordinal) && !property.PropertyType.IsEnum && member is not IEnumerable)
            {
                foreach (var missing in MembersWithoutValue(member, $"{path}.{property.Name}"))
                {
                    yield return missing;
                }
            }
        }
    }
}
