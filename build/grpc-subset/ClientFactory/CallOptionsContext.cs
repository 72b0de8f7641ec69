using Grpc.Core;

namespace Grpc.Net.ClientFactory;

/// <summary>The options of a call that starts.</summary>
public sealed class CallOptionsContext
{
    internal CallOptionsContext(CallOptions callOptions, IServiceProvider serviceProvider)
    {
        CallOptions = callOptions;
        ServiceProvider = serviceProvider;
    }

    /// <summary>The options of the call.</summary>
    public CallOptions CallOptions { get; set; }

    /// <summary>The services of the scope that created the client.</summary>
    public IServiceProvider ServiceProvider { get; }
}
