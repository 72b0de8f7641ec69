using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>One after the other, each as often as any other. Starts at a random one, as <see cref="CyclePicker"/> does.</summary>
internal sealed class TurnPicker(InstanceList instances) : InstancePicker
{
    private uint _next = (uint)FastRandom.Next();

    public override InstanceState Pick(in PickArguments arguments) => instances[(int)(Interlocked.Increment(ref _next) % (uint)instances.Count)];
}
