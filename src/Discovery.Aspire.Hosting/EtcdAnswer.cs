using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Aspire.Hosting.Etcd;

/// <summary>What etcd's HTTP gateway answers: a gRPC status as JSON, or whatever stands between it and us.</summary>
internal sealed record EtcdAnswer(bool IsSuccess, int? Status, string Message)
{
    private const int InvalidArgument = 3;
    private const int PermissionDenied = 7;
    private const int FailedPrecondition = 9;
    private const int Unauthenticated = 16;

    public static EtcdAnswer Success { get; } = new(true, 0, "");

    /// <summary>Whether authentication is on, and the call came without a user who may do it.</summary>
    public bool AsksForUser
        => Status is PermissionDenied or Unauthenticated || (Status == InvalidArgument && Message.Contains("user name is empty", StringComparison.Ordinal));

    /// <summary>Whether the user or role is there already.</summary>
    public bool SaysItExists => Status == FailedPrecondition && Message.Contains("already exists", StringComparison.Ordinal);

    public static EtcdAnswer Read(HttpStatusCode code, string content)
    {
        try
        {
            if (JsonNode.Parse(content) is JsonObject answer
                && answer["code"] is JsonValue status && status.TryGetValue<int>(out var number)
                && answer["message"] is JsonValue text && text.TryGetValue<string>(out var message))
            {
                return new EtcdAnswer(false, number, message);
            }
        }
        catch (JsonException)
        {
            // No answer of etcd's gateway.
        }

        return new EtcdAnswer(false, null, $"HTTP status {(int)code}");
    }
}
