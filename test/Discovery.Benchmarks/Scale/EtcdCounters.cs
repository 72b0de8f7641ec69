using System.Globalization;

namespace Discovery.Benchmarks.Scale;

/// <summary>What an etcd on this machine says of its load.</summary>
/// <param name="Connections">Open connections of clients.</param>
/// <param name="WatchStreams">Streams of watches.</param>
/// <param name="Watches">Watches on them.</param>
/// <param name="Leases">Leases that live.</param>
/// <param name="Requests">Calls that were begun so far.</param>
internal sealed record EtcdCounters(double Connections, double WatchStreams, double Watches, double Leases, double Requests)
{
    private const string Established = "01";

    public static async Task<EtcdCounters> ReadAsync(HttpClient http, IEtcdServer etcd)
    {
        var lines = (await http.GetStringAsync(etcd.Endpoint + "/metrics")).Split('\n');
        double Sum(string name) => lines.Where(l => l.StartsWith(name, StringComparison.Ordinal) && l[name.Length] is ' ' or '{')
            .Sum(static l => double.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
        return new EtcdCounters(
            CountConnections(etcd.ClientPort),
            Sum("etcd_debugging_mvcc_watch_stream_total"),
            Sum("etcd_debugging_mvcc_watcher_total"),
            Sum("etcd_debugging_lease_granted_total") - Sum("etcd_debugging_lease_revoked_total"),
            Sum("grpc_server_started_total"));
    }

    /// <summary>Less what was there before.</summary>
    public EtcdCounters Since(EtcdCounters before) => new(
        Connections - before.Connections, WatchStreams - before.WatchStreams, Watches - before.Watches, Leases - before.Leases, Requests - before.Requests);

    /// <summary>The connections of the kernel's table whose local end is etcd's port.</summary>
    private static int CountConnections(int port)
    {
        var local = string.Create(CultureInfo.InvariantCulture, $":{port:X4}");
        return File.ReadLines("/proc/net/tcp").Select(static l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Count(f => f.Length > 3 && f[1].EndsWith(local, StringComparison.Ordinal) && f[3] == Established);
    }
}
