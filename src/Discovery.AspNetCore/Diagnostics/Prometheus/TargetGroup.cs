using System.Text.Json.Serialization;

namespace Discovery.AspNetCore.Diagnostics.Prometheus;

/// <summary>Targets with the same labels, as Prometheus' HTTP service discovery has them.</summary>
internal sealed record TargetGroup(IReadOnlyList<string> Targets, IReadOnlyDictionary<string, string> Labels);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(IReadOnlyList<TargetGroup>))]
internal sealed partial class TargetJson : JsonSerializerContext;
