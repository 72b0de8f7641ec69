using Grpc.Core;
using Grpc.Net.Client;

namespace Grpc.Net.ClientFactory;

/// <summary>Options of one registered client.</summary>
public class GrpcClientFactoryOptions
{
    /// <summary>The address of the service, such as <c>https://greeter:5001</c>; required.</summary>
    public Uri? Address { get; set; }

    /// <summary>Applied to the options of the client's channel.</summary>
    public IList<Action<GrpcChannelOptions>> ChannelOptionsActions { get; } = [];

    /// <summary>Applied to the options of each call.</summary>
    public IList<Action<CallOptionsContext>> CallOptionsActions { get; } = [];

    /// <summary>Creates the client instead of its constructor.</summary>
    public Func<CallInvoker, object>? Creator { get; set; }
}
