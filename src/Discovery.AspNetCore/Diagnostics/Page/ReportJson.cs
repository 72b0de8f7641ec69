using System.Text.Json.Serialization;

namespace Discovery.AspNetCore.Diagnostics.Page;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(DiscoveryReport))]
internal sealed partial class ReportJson : JsonSerializerContext;
