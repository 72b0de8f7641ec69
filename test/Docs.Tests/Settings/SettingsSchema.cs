using System.Globalization;
using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Discovery.AspNetCore;
using Discovery.AspNetCore.Pools;
using Discovery.Etcd;

namespace Docs.Tests.Settings;

/// <summary>
/// The JSON schema of appsettings.json, made of the options: their names, types, defaults and the summaries of their documentation.
/// </summary>
internal static class SettingsSchema
{
    /// <summary>A TimeSpan. A number alone would be days, so only 0 may stand alone.</summary>
    private const string Duration = @"^(0|(\d{1,7}\.)?([01]?\d|2[0-3]):[0-5]?\d(:[0-5]?\d(\.\d{1,7})?)?)$";

    // Names of an application's own are valid too.
    private static readonly Dictionary<string, string[]> Suggestions = new(StringComparer.Ordinal)
    {
        [nameof(EtcdDiscoveryOptions.Policy)] = Constants(typeof(BalancingPolicies)),
        [nameof(EtcdDiscoveryOptions.Layout)] = Constants(typeof(ServiceLayouts)),
        [nameof(EtcdDiscoveryOptions.TlsTargetHost)] = ["service", "endpoint"],
    };

    private static readonly Dictionary<string, string[]> Choices = new(StringComparer.Ordinal)
    {
        [nameof(EtcdDiscoveryOptions.Scheme)] = ["http", "https"],
    };

    // What the validation of the settings allows; RangeTests holds the two together.
    private static readonly Dictionary<string, (double Least, double? Most)> Ranges = new(StringComparer.Ordinal)
    {
        [nameof(EtcdRegistrationOptions.Weight)] = (0, 1_000_000),
        [nameof(EtcdRegistrationOptions.AdvertisedPort)] = (1, 65535),
        [nameof(RegistrationHealthOptions.UnhealthyThreshold)] = (1, 1000),
        [nameof(RegistrationHealthOptions.HealthyThreshold)] = (1, 1000),
        [nameof(RegistrationHealthOptions.MinimumInstances)] = (0, null),
        [nameof(EtcdDiscoveryOptions.MaxConnectAttempts)] = (1, 100),
        [nameof(EtcdDiscoveryOptions.RetryBudgetPercent)] = (0, 100),
        [nameof(EtcdDiscoveryOptions.SubsetSize)] = (0, null),
        [nameof(EtcdDiscoveryOptions.HashBound)] = (1, 100),
        [nameof(EjectionOptions.ConsecutiveFailures)] = (1, 1000),
        [nameof(EjectionOptions.ConsecutiveConnectFailures)] = (1, 1000),
        [nameof(EjectionOptions.ConsecutiveTimeouts)] = (1, 1000),
        [nameof(EjectionOptions.FailureRatePercent)] = (1, 100),
        [nameof(EjectionOptions.MaxEjectedPercent)] = (0, 100),
        [nameof(EjectionOptions.PanicThresholdPercent)] = (0, 100),
        [nameof(ZoneSpillOverOptions.MinInstances)] = (1, 1000),
        [nameof(ZoneSpillOverOptions.MinCapacityPercent)] = (1, 100),
        [nameof(ZoneSpillOverOptions.LatencyRatio)] = (0, 1000),
    };

    private static readonly JsonSerializerOptions Written = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Where the schema of a package lies.</summary>
    public static string PathOf(string package) => Path.Combine(Repository.Root, "src", package, "ConfigurationSchema.json");

    /// <summary>The schemas as they should be, by package. An editor puts those of all packages of an application together.</summary>
    public static IEnumerable<(string Package, JsonObject Schema)> BuildAll()
        => [("Discovery.AspNetCore", Build()), ("Discovery.AspNetCore.ServiceDiscovery", BuildServiceDiscovery())];

    /// <summary>What an application with all packages has.</summary>
    public static JsonObject BuildWhole()
    {
        var schema = Build();
        Add(schema["properties"]!["Etcd"]!.AsObject(), "ServiceDiscovery", Section(typeof(EtcdServiceEndpointProviderOptions)));
        return schema;
    }

    private static JsonObject BuildServiceDiscovery() => new()
    {
        ["$schema"] = "http://json-schema.org/draft-07/schema#",
        ["type"] = "object",
        ["properties"] = new JsonObject
        {
            ["Etcd"] = Of("object", ("properties", new JsonObject { ["ServiceDiscovery"] = Section(typeof(EtcdServiceEndpointProviderOptions)) })),
        },
    };

    /// <summary>The schema of the package Discovery.AspNetCore.</summary>
    public static JsonObject Build()
    {
        var etcd = Section(typeof(EtcdClientOptions));
        etcd["description"] = "Service registration and discovery on etcd: how to reach the cluster, what is registered, and how services are called.";
        etcd.Remove("additionalProperties");
        Add(etcd, "Registration", Reference("etcdRegistration"));
        var discovery = Section(typeof(EtcdDiscoveryOptions));
        Add(discovery, "Services", Named("What differs for single services, by name.", Reference("etcdDiscoveredService")));
        Add(discovery, "Clients", Named("What is set for single clients, by name.", Section(typeof(ClientSettings))));
        Add(etcd, "Discovery", discovery);

        var cluster = Section(typeof(EtcdClientOptions));
        Add(cluster, "Registration", Reference("etcdRegistration"));
        Add(etcd, "Clusters", Named("Further clusters, by the name that AddKeyedEtcdClient gives them.", cluster));

        return new JsonObject
        {
            ["$schema"] = "http://json-schema.org/draft-07/schema#",
            ["definitions"] = new JsonObject
            {
                ["etcdRegistration"] = Section(typeof(EtcdRegistrationOptions)),
                ["etcdDiscoveredService"] = Section(typeof(EtcdDiscoveryOptions)),
            },
            ["type"] = "object",
            ["properties"] = new JsonObject
            {
                ["ConnectionStrings"] = new JsonObject
                {
                    ["type"] = "object",
                    ["properties"] = new JsonObject
                    {
                        ["etcd"] = new JsonObject
                        {
                            ["type"] = "string",
                            ["description"] = "The client URLs of etcd's members, separated by commas, or Endpoints=http://10.0.0.1:2379;Username=shop;Password=… Read where Etcd:Endpoints is not set.",
                        },
                    },
                },
                ["Etcd"] = etcd,
            },
        };
    }

    /// <summary>The text of the schema's file.</summary>
    public static string Write(JsonObject schema) => schema.ToJsonString(Written) + "\n";

    private static JsonObject Section(Type type)
    {
        var defaults = Activator.CreateInstance(type)!;
        var properties = new JsonObject();
        foreach (var property in type.GetProperties(BindingFlags.Instance | BindingFlags.Public)
            .Where(static p => !typeof(Delegate).IsAssignableFrom(p.PropertyType))
            .OrderBy(static p => p.Name, StringComparer.Ordinal))
        {
            var setting = Setting(property.Name, property.PropertyType);
            setting["description"] = XmlDocs.Of(property);
            if (Ranges.TryGetValue(property.Name, out var range))
            {
                setting["minimum"] = range.Least;
                if (range.Most is { } most)
                {
                    setting["maximum"] = most;
                }
            }

            if (Default(property.GetValue(defaults)) is { } value && setting["type"] is JsonValue and not null)
            {
                setting["default"] = value;
            }

            properties[property.Name] = setting;
        }

        return new JsonObject
        {
            ["type"] = "object",
            ["description"] = XmlDocs.Of(type),
            ["properties"] = properties,
            ["additionalProperties"] = false,
        };
    }

    private static JsonObject Setting(string name, Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type switch
        {
            _ when type == typeof(bool) => Of("boolean"),
            _ when type == typeof(int) => Of("integer"),
            _ when type == typeof(double) => Of("number"),
            _ when type == typeof(TimeSpan) => Of("string", ("pattern", Duration)),
            _ when type.IsEnum => Of("string", ("enum", Texts(Enum.GetNames(type)))),
            _ when type == typeof(string) && Choices.TryGetValue(name, out var choices) => Of("string", ("enum", Texts(choices))),
            _ when type == typeof(string) && Suggestions.TryGetValue(name, out var suggestions)
                => Of("string", ("anyOf", new JsonArray(new JsonObject { ["enum"] = Texts(suggestions) }, new JsonObject()))),
            _ when type == typeof(string) => Of("string"),
            _ when type == typeof(IList<string>) || type == typeof(IReadOnlyList<string>)
                => new JsonObject { ["type"] = new JsonArray("array", "string"), ["items"] = Of("string") },
            _ when type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IDictionary<,>)
                => Of("object", ("additionalProperties", Setting("", type.GetGenericArguments()[1]))),
            _ when type is { IsClass: true, Namespace: "Discovery.AspNetCore" or "Discovery.Etcd" } => Section(type),
            _ => throw new NotSupportedException($"How a setting of the type {type} is written in JSON is not known: add it here."),
        };
    }

    private static JsonNode? Default(object? value) => value switch
    {
        bool or int or double => JsonSerializer.SerializeToNode(value),
        Enum choice => choice.ToString(),
        TimeSpan time => time.ToString("c", CultureInfo.InvariantCulture),
        string { Length: > 0 } text => text,
        _ => null,
    };

    private static JsonObject Named(string description, JsonNode each)
        => new() { ["type"] = "object", ["description"] = description, ["additionalProperties"] = each };

    private static JsonObject Reference(string definition) => new() { ["$ref"] = $"#/definitions/{definition}" };

    private static void Add(JsonObject section, string name, JsonNode setting) => section["properties"]![name] = setting;

    private static JsonObject Of(string type, params ReadOnlySpan<(string Name, JsonNode Value)> more)
    {
        var setting = new JsonObject { ["type"] = type };
        foreach (var (name, value) in more)
        {
            setting[name] = value;
        }

        return setting;
    }

    private static JsonArray Texts(IEnumerable<string> texts) => [.. texts.Select(static t => JsonValue.Create(t))];

    private static string[] Constants(Type type) => [.. type.GetFields().Select(static f => (string)f.GetRawConstantValue()!)];
}
