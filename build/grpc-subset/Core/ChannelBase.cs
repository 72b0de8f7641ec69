namespace Grpc.Core;

/// <summary>Something that calls can be made on.</summary>
public abstract class ChannelBase
{
    /// <summary>Creates the channel.</summary>
    /// <param name="target">Host and port that the channel calls.</param>
    protected ChannelBase(string target)
    {
        ArgumentNullException.ThrowIfNull(target);
        Target = target;
    }

    /// <summary>Host and port that the channel calls.</summary>
    public string Target { get; }

    /// <summary>Creates what starts calls on this channel.</summary>
    public abstract CallInvoker CreateCallInvoker();

    /// <summary>Does nothing; dispose the channel instead.</summary>
    public Task ShutdownAsync() => Task.CompletedTask;
}
