namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>Walks a cycle of endpoints, from a random start.</summary>
internal sealed class CyclePicker(ServiceEndpoint[] cycle) : EndpointPicker
{
    private uint _next = (uint)FastRandom.Next();

    public override ServiceEndpoint Pick(in PickContext context) => cycle[Interlocked.Increment(ref _next) % (uint)cycle.Length];
}
