using Discovery.Etcd.Calls;
using Grpc.Core;

namespace Discovery.Etcd;

/// <summary>
/// An etcd operation failed. The message names the operation, the endpoints tried, and the fix where one is known; etcd's own words are the
/// detail of <see cref="RpcException.Status"/>.
/// </summary>
public sealed class EtcdException : RpcException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">The whole message.</param>
    /// <param name="status">The code, etcd's own words or what stands for them, and the cause if it was an exception.</param>
    /// <param name="operation">The operation, e.g. <c>Range</c>.</param>
    /// <param name="endpoints">The endpoints that were tried, in order.</param>
    public EtcdException(string message, Status status, string operation, IReadOnlyList<string> endpoints)
        : base(status, message)
    {
        Reason = EtcdMessages.ReasonOf(status.Detail ?? "");
        Operation = operation;
        Endpoints = endpoints;
    }

    /// <summary>What etcd meant, as far as its words tell, or why it was not reached, as far as that is known.</summary>
    public EtcdErrorReason Reason { get; internal init; }

    /// <summary>The operation that failed, e.g. <c>Range</c>.</summary>
    public string Operation { get; }

    /// <summary>The endpoints that were tried, in order; without secrets.</summary>
    public IReadOnlyList<string> Endpoints { get; }
}
