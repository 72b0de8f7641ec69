using Grpc.Net.Client;

namespace Discovery.Etcd.Connections;

/// <summary>
/// One configured endpoint. Unary calls and streams have connections and health of their own: a watch or a lease renewal never waits behind
/// a large list, and a proxy that serves calls but breaks streams is not chosen for streams because a call succeeded.
/// </summary>
internal sealed class EtcdEndpoint : IDisposable
{
    private long _term;

    public EtcdEndpoint(Uri address, Func<CallKind, GrpcChannel> connect, TimeProvider time)
    {
        Address = address;
        Name = address.GetLeftPart(UriPartial.Authority);
        Calls = new ReplaceableConnection(() => connect(CallKind.Unary), time);
        Streams = new ReplaceableConnection(() => connect(CallKind.Stream), time);
        CallHealth = new EndpointHealth(time);
        StreamHealth = new EndpointHealth(time);
    }

    public Uri Address { get; }

    /// <summary>The endpoint as messages name it.</summary>
    public string Name { get; }

    /// <summary>The connection of unary calls.</summary>
    public ReplaceableConnection Calls { get; }

    /// <summary>The connection of streams.</summary>
    public ReplaceableConnection Streams { get; }

    public EndpointHealth CallHealth { get; }

    public EndpointHealth StreamHealth { get; }

    /// <summary>Which cluster it belongs to.</summary>
    public EndpointCluster Cluster { get; } = new();

    /// <summary>The latest raft term in which the member there had a leader; 0 while none is known.</summary>
    public ulong Term => (ulong)Interlocked.Read(ref _term);

    /// <summary>The member had a leader in a term.</summary>
    public void ObserveTerm(ulong term)
    {
        var known = Interlocked.Read(ref _term);
        while ((ulong)known < term)
        {
            known = Interlocked.CompareExchange(ref _term, (long)term, known);
        }
    }

    /// <summary>Another cluster stands there now: calls and streams dial anew.</summary>
    public void Replaced()
    {
        Calls.Replace();
        Streams.Replace();
        Cluster.Forget();
        Interlocked.Exchange(ref _term, 0);
    }

    public EndpointHealth HealthOf(CallKind kind) => kind == CallKind.Stream ? StreamHealth : CallHealth;

    public ReplaceableConnection ConnectionOf(CallKind kind) => kind == CallKind.Stream ? Streams : Calls;

    public void Dispose()
    {
        Calls.Dispose();
        Streams.Dispose();
    }
}

/// <summary>The kinds of calls that an endpoint keeps apart.</summary>
internal enum CallKind
{
    /// <summary>One request, one response.</summary>
    Unary,

    /// <summary>A watch, or renewals of leases.</summary>
    Stream,
}
