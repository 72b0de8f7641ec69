using Discovery.IntegrationTests.Interop;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Peers.V1;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>The interop service, whose errors have details as the neighbours' have.</summary>
public sealed class DetailedService(CallObserver observer) : InteropService(observer)
{
    public override Task<Message> Fail(Message request, ServerCallContext context)
    {
        var status = new Google.Rpc.Status
        {
            Code = request.Number,
            Message = request.Text,
            Details = { Any.Pack(new ErrorInfo { Reason = "ASKED", Domain = "interop.v1", Metadata = { ["text"] = request.Text } }) },
        };
        context.ResponseTrailers.Add("reason", "asked");
        throw status.ToRpcException();
    }
}
