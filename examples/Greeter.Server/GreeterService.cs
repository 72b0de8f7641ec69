using System.Net;
using Grpc.Core;
using Helloworld;

namespace Greeter.Server;

/// <summary>Greets, and says which instance did.</summary>
internal sealed class GreeterService : Helloworld.Greeter.GreeterBase
{
    public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context)
    {
        var connection = context.GetHttpContext().Connection;
        var instance = new IPEndPoint(connection.LocalIpAddress!.MapToIPv4(), connection.LocalPort);
        return Task.FromResult(new HelloReply { Message = $"Hello {request.Name} from {instance}" });
    }
}
