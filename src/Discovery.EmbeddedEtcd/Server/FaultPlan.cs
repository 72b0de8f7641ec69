using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>The calls that are to fail because a test asked for it, in the order of the asking.</summary>
internal sealed class FaultPlan
{
    private readonly Lock _gate = new();
    private readonly List<Fault> _faults = [];

    public void Add(int next, StatusCode status, string message, string? method)
    {
        lock (_gate)
        {
            _faults.Add(new Fault(new Status(status, message), method) { Left = next });
        }
    }

    /// <summary>The error that the call has to end with, if any.</summary>
    /// <param name="path">The full name of the method, e.g. <c>/etcdserverpb.KV/Put</c>.</param>
    public RpcException? Take(string path)
    {
        lock (_gate)
        {
            var index = _faults.FindIndex(f => f.Matches(path));
            if (index < 0)
            {
                return null;
            }

            var fault = _faults[index];
            if (--fault.Left == 0)
            {
                _faults.RemoveAt(index);
            }

            return new RpcException(fault.Status);
        }
    }

    private sealed record Fault(Status Status, string? Method)
    {
        public int Left { get; set; }

        public bool Matches(string path) => Method is null || path.EndsWith("/" + Method, StringComparison.Ordinal);
    }
}
