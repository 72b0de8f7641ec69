using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Discovery.AspNetCore.Layouts;

/// <summary>What we say of an instance as a JSON object of metadata, beside what the application adds.</summary>
internal static class InstanceMetadata
{
    public const string Id = "id";
    public const string Scheme = "scheme";
    public const string Weight = "weight";
    public const string Zone = "zone";
    public const string Version = "version";
    public const string Tags = "tags";
    public const string Draining = "draining";
    public const string Protocols = "protocols";

    /// <summary>The names that an application's own metadata cannot use.</summary>
    public static readonly FrozenSet<string> Reserved = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase, Id, Scheme, Weight, Zone, Version, Tags, Draining, Protocols);

    private static readonly string[] Own = [Id, Scheme, Protocols, Weight, Zone, Version, Tags, Draining];

    [ThreadStatic]
    private static string? _lastProtocols;

    [ThreadStatic]
    private static string? _lastScheme;

    [ThreadStatic]
    private static string? _lastZone;

    [ThreadStatic]
    private static string? _lastVersion;

    /// <summary>A JSON object as Go writes it, or <see langword="null"/> when there is nothing to say. What has its default is left out.</summary>
    public static string? ToObject(ServiceInstance instance)
    {
        var json = new StringBuilder();
        AppendText(json, Id, instance.InstanceId);
        AppendText(json, Scheme, instance.Scheme);
        AppendText(json, Protocols, AsText(instance.Protocols));
        if (instance.Weight != ServiceInstance.DefaultWeight)
        {
            AppendName(json, Weight).Append(CultureInfo.InvariantCulture, $"{instance.Weight}");
        }

        AppendText(json, Zone, instance.Zone);
        AppendText(json, Version, instance.Version);
        if (instance.Tags.Count > 0)
        {
            AppendName(json, Tags).Append('[').AppendJoin(',', instance.Tags.Select(GoJson.ToText)).Append(']');
        }

        if (instance.IsDraining)
        {
            AppendName(json, Draining).Append("true");
        }

        foreach (var (name, value) in instance.Metadata.OrderBy(static m => m.Key, GoJson.KeyOrder))
        {
            GoJson.AppendText(AppendName(json, name), value);
        }

        return json.Length == 0 ? null : json.Append('}').ToString();
    }

    /// <summary>The same for formats whose metadata are texts without exception. Tags are separated by commas.</summary>
    public static SortedDictionary<string, string> ToTexts(ServiceInstance instance)
    {
        var texts = new SortedDictionary<string, string>(GoJson.KeyOrder);
        foreach (var (name, value) in instance.Metadata)
        {
            texts[name] = value;
        }

        (string Name, string? Value)[] own =
        [
            (Id, instance.InstanceId),
            (Scheme, instance.Scheme),
            (Protocols, AsText(instance.Protocols)),
            (Weight, instance.Weight == ServiceInstance.DefaultWeight ? null : instance.Weight.ToString(CultureInfo.InvariantCulture)),
            (Zone, instance.Zone),
            (Version, instance.Version),
            (Tags, string.Join(',', instance.Tags)),
            (Draining, instance.IsDraining ? "true" : null),
        ];
        foreach (var (name, value) in own)
        {
            if (!string.IsNullOrEmpty(value))
            {
                texts[name] = value;
            }
        }

        return texts;
    }

    /// <summary>What an instance speaks. One that is about to be registered may say so in its metadata only.</summary>
    public static InstanceProtocols ProtocolsOf(ServiceInstance instance)
        => instance.Protocols != InstanceProtocols.Unspecified ? instance.Protocols : AsProtocols(instance.Metadata.GetValueOrDefault(Protocols));

    /// <summary>Adds what metadata says to an instance, by weights of which so many are one of ours. Metadata may be any JSON, or absent; what is not understood is left alone.</summary>
    public static ServiceInstance Read(FieldValue metadata, ServiceInstance instance, int weightUnit = 1)
        => metadata.Kind == JsonTokenType.StartObject ? Read(metadata.Json.Span, instance, weightUnit) : instance;

    /// <summary>
    /// Adds what a JSON object of metadata says to an instance, by weights of which so many are one of ours. A text that cannot be had says nothing.
    /// </summary>
    /// <exception cref="JsonException">It is no JSON object.</exception>
    public static ServiceInstance Read(ReadOnlySpan<byte> metadata, ServiceInstance instance, int weightUnit = 1)
    {
        // All at the end: each change of an instance is a copy of it, and what is no valid JSON at its end says nothing.
        var (id, scheme, protocols) = (instance.InstanceId, instance.Scheme, instance.Protocols);
        var (zone, version, tags) = (instance.Zone, instance.Version, instance.Tags);
        var (weight, isDraining) = (instance.Weight, instance.IsDraining);
        Dictionary<string, string>? others = null;
        var reader = ObjectRecord.CreateReader(metadata);
        reader.Read();
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName)
            {
                // The end of the object.
                continue;
            }

            var (known, name) = FieldValue.IsReadable(ref reader) ? NameOf(ref reader) : default;
            reader.Read();
            if (reader.TokenType == JsonTokenType.String && !FieldValue.IsReadable(ref reader))
            {
                continue;
            }

            switch (known)
            {
                case Id when FieldValue.AsText(ref reader) is { Length: > 0 } text:
                    id = text;
                    break;
                case Scheme when AsScheme(Shared(ref reader, ref _lastScheme)) is { } spoken:
                    scheme = spoken;
                    break;
                case Weight:
                    weight = AsWeight(FieldValue.AsText(ref reader), weightUnit);
                    break;
                case Protocols when AsProtocols(Shared(ref reader, ref _lastProtocols)) is var spoken and not InstanceProtocols.Unspecified:
                    protocols = spoken;
                    break;
                case Zone when Shared(ref reader, ref _lastZone) is { Length: > 0 } text:
                    zone = text;
                    break;
                case Version when Shared(ref reader, ref _lastVersion) is { Length: > 0 } text:
                    version = text;
                    break;
                case Tags when reader.TokenType == JsonTokenType.StartArray:
                    tags = ReadTexts(ref reader);
                    break;
                case Tags when reader.TokenType == JsonTokenType.String:
                    tags = reader.GetString()!.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
                    break;
                case Draining:
                    isDraining = reader.TokenType == JsonTokenType.True || FieldValue.AsText(ref reader) == "true";
                    break;
                default:
                    if (name is not null && !Reserved.Contains(name) && FieldValue.AsText(ref reader) is { } other)
                    {
                        (others ??= new(StringComparer.Ordinal))[name] = other;
                    }

                    break;
            }

            reader.Skip();
        }

        return instance with
        {
            InstanceId = id,
            Scheme = scheme,
            Protocols = protocols,
            Zone = zone,
            Version = version,
            Tags = tags,
            Weight = weight,
            IsDraining = isDraining,
            Metadata = others ?? instance.Metadata,
        };
    }

    /// <summary>
    /// A weight as somebody wrote it, maybe as 5.0. What is no number from 0 to the greatest that we write ourselves reads as the default, so that
    /// nobody gets all calls by mistake, and a fraction of 1 is not nothing.
    /// </summary>
    /// <param name="text">The weight.</param>
    /// <param name="unit">How much of it is one of ours.</param>
    public static int AsWeight(string? text, int unit = 1)
        => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var given) && given / unit is >= 0 and <= ServiceInstance.MaxWeight and var weight
            ? weight == 0 ? 0 : Math.Max(1, (int)Math.Round(weight))
            : ServiceInstance.DefaultWeight;

    /// <summary>One text for all instances, and not one for each.</summary>
    private static string? AsScheme(string? text)
        => Uri.UriSchemeHttp.Equals(text, StringComparison.OrdinalIgnoreCase) ? Uri.UriSchemeHttp
            : Uri.UriSchemeHttps.Equals(text, StringComparison.OrdinalIgnoreCase) ? Uri.UriSchemeHttps
            : null;

    /// <summary>The protocols as somebody wrote them, e.g. <c>h1,h2</c>; names that are not known here say nothing.</summary>
    public static InstanceProtocols AsProtocols(string? text) => text switch
    {
        // As we write them.
        "h1" => InstanceProtocols.Http1,
        "h2" => InstanceProtocols.Http2,
        "h1,h2" => InstanceProtocols.Http1 | InstanceProtocols.Http2,
        _ => ReadProtocols(text),
    };

    private static InstanceProtocols ReadProtocols(string? text)
    {
        var protocols = InstanceProtocols.Unspecified;
        foreach (var name in (text ?? "").Split(',', StringSplitOptions.TrimEntries))
        {
            protocols |= name.ToLowerInvariant() switch
            {
                "h1" => InstanceProtocols.Http1,
                "h2" or "h2c" => InstanceProtocols.Http2,
                _ => InstanceProtocols.Unspecified,
            };
        }

        return protocols;
    }

    /// <summary>The protocols as they are written; null where nothing is known of them.</summary>
    public static string? AsText(InstanceProtocols protocols) => protocols switch
    {
        InstanceProtocols.Http1 => "h1",
        InstanceProtocols.Http2 => "h2",
        InstanceProtocols.Http1 | InstanceProtocols.Http2 => "h1,h2",
        _ => null,
    };

    /// <summary>
    /// The name of the property where a reader stands: the one of ours that it is in any case, for Go writes a field of a struct as Weight and a
    /// map as weight; or else itself.
    /// </summary>
    private static (string? Known, string? Name) NameOf(ref Utf8JsonReader reader)
    {
        var bytes = reader.ValueSpan;
        if (!reader.ValueIsEscaped && Ascii.IsValid(bytes))
        {
            foreach (var own in Own)
            {
                if (Ascii.EqualsIgnoreCase(bytes, own))
                {
                    return (own, null);
                }
            }

            return (null, reader.GetString());
        }

        var name = reader.GetString()!;
        return (name.ToLowerInvariant(), name);
    }

    /// <summary>The text where a reader stands, which is the same object as the one before if it is the same text: most instances have one.</summary>
    private static string? Shared(ref Utf8JsonReader reader, ref string? last)
    {
        if (last is null || reader.TokenType != JsonTokenType.String || !reader.ValueTextEquals(last))
        {
            last = FieldValue.AsText(ref reader);
        }

        return last;
    }

    private static List<string> ReadTexts(ref Utf8JsonReader reader)
    {
        var texts = new List<string>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if ((reader.TokenType != JsonTokenType.String || FieldValue.IsReadable(ref reader)) && FieldValue.AsText(ref reader) is { } text)
            {
                texts.Add(text);
            }

            reader.Skip();
        }

        return texts;
    }

    private static void AppendText(StringBuilder json, string name, string? value)
    {
        if (!string.IsNullOrEmpty(value))
        {
            GoJson.AppendText(AppendName(json, name), value);
        }
    }

    private static StringBuilder AppendName(StringBuilder json, string name)
        => GoJson.AppendText(json.Append(json.Length == 0 ? '{' : ','), name).Append(':');
}
