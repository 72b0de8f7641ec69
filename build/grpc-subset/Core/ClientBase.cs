namespace Grpc.Core;

/// <summary>The base of generated clients.</summary>
public abstract class ClientBase
{
    private readonly CallInvoker? _callInvoker;

    /// <summary>For test doubles, which override every method that is called.</summary>
    protected ClientBase()
    {
    }

    /// <summary>Creates the client from a configuration of another.</summary>
    protected ClientBase(ClientBaseConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        _callInvoker = configuration.CallInvoker;
    }

    /// <summary>Creates the client on a channel.</summary>
    public ClientBase(ChannelBase channel)
        : this(channel.CreateCallInvoker())
    {
    }

    /// <summary>Creates the client on a call invoker.</summary>
    public ClientBase(CallInvoker callInvoker)
    {
        ArgumentNullException.ThrowIfNull(callInvoker);
        _callInvoker = callInvoker;
    }

    /// <summary>Starts the calls of this client.</summary>
    protected CallInvoker CallInvoker => _callInvoker ?? throw new NotImplementedException();

    /// <summary>What a copy of a client is made from.</summary>
    protected internal class ClientBaseConfiguration
    {
        internal ClientBaseConfiguration(CallInvoker callInvoker) => CallInvoker = callInvoker;

        internal CallInvoker CallInvoker { get; }
    }
}

/// <summary>The base of generated clients, which can make copies of themselves.</summary>
public abstract class ClientBase<T> : ClientBase
    where T : ClientBase<T>
{
    /// <summary>For test doubles, which override every method that is called.</summary>
    protected ClientBase()
    {
    }

    /// <summary>Creates the client from a configuration of another.</summary>
    protected ClientBase(ClientBaseConfiguration configuration)
        : base(configuration)
    {
    }

    /// <summary>Creates the client on a channel.</summary>
    public ClientBase(ChannelBase channel)
        : base(channel)
    {
    }

    /// <summary>Creates the client on a call invoker.</summary>
    public ClientBase(CallInvoker callInvoker)
        : base(callInvoker)
    {
    }

    /// <summary>Creates a copy; generated code overrides it.</summary>
    protected abstract T NewInstance(ClientBaseConfiguration configuration);
}
