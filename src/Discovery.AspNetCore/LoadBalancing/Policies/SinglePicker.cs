namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>No choice at all.</summary>
internal sealed class SinglePicker(ServiceEndpoint endpoint) : EndpointPicker
{
    public override ServiceEndpoint Pick(in PickContext context) => endpoint;
}
