using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Calls;

/// <summary>The body of an answer that is not gRPC, which keeps whose answer it is. A gRPC call asks by metadata, and need not pay for this.</summary>
/// <param name="response">The response.</param>
/// <param name="hasLength">Whether its headers tell the length of the body.</param>
/// <param name="instance">The instance that was called.</param>
/// <param name="call">The call.</param>
/// <param name="outcome">The outcome as far as the headers tell.</param>
internal sealed class AnswerContent(HttpResponseMessage response, bool hasLength, InstanceState instance, CallProgress call, CallOutcome outcome)
    : TrackedContent(response, isGrpc: false, hasLength, instance, call, outcome)
{
    private readonly InstanceState _instance = instance;

    /// <summary>The instance as its record has it now.</summary>
    public ServiceInstance Instance => _instance.Record;
}
