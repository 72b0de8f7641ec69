namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>No choice at all.</summary>
internal sealed class SinglePicker(InstanceState instance) : InstancePicker
{
    public override InstanceState Pick(in PickArguments arguments) => instance;
}
