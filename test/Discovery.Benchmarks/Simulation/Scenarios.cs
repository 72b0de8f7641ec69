namespace Discovery.Benchmarks.Simulation;

/// <summary>The situations that are simulated.</summary>
internal static class Scenarios
{
    /// <summary>The scenarios that have a target.</summary>
    public const string Linkerd = "linkerd";

    public const string Sinkhole = "sinkhole";

    public const string Load = "load-0.9";

    public const string ManyClients = "load-0.9-50-100";

    public const string MostClients = "load-0.9-200-1000";

    private const double Mean = 0.010;

    public static IReadOnlyList<Scenario> All { get; } =
    [
        new(Linkerd, "11 servers, 1000/s, one takes 2 s from second 15 to 45, limit 1 s")
        {
            Servers = [.. Repeat(10, Healthy()), new ServerModel { ServiceTime = (r, t) => t is > 15 and < 45 ? 2 : LogNormal(r) }],
            Rate = 1000,
        },
        new("linkerd-always", "the same, but slow from the start, with 100 calls per second")
        {
            Servers = [.. Repeat(10, Healthy()), new ServerModel { ServiceTime = (_, _) => 2 }],
            Rate = 100,
        },
        new("linkerd-10", "as linkerd-always, 1000/s by 10 clients that know nothing of each other")
        {
            Servers = [.. Repeat(10, Healthy()), new ServerModel { ServiceTime = (_, _) => 2 }],
            Rate = 1000,
            Clients = 10,
        },
        new(Sinkhole, "20 servers at 0.6 load, two fail at once from second 5 on")
        {
            Servers = [.. Repeat(18, Queueing(4)), .. Repeat(2, Queueing(4) with { Fails = (_, t) => t > 5 })],
            Rate = 0.6 * 20 * 4 / Mean,
            Duration = 30,
        },
        new("sinkhole-half", "20 servers at 0.6 load, two fail every other call at once from second 5 on")
        {
            Servers = [.. Repeat(18, Queueing(4)), .. Repeat(2, Queueing(4) with { Fails = (r, t) => t > 5 && r.NextDouble() < 0.5 })],
            Rate = 0.6 * 20 * 4 / Mean,
            Duration = 30,
        },
        new("uneven", "20 servers at 0.7 load of all, half of them three times as fast")
        {
            Servers = [.. Repeat(10, Queueing(4, 1.5)), .. Repeat(10, Queueing(4, 0.5))],
            Rate = 0.7 * 20 * 4 / Mean,
            Duration = 30,
            CountFrom = 5,
        },
        new("cold", "10 servers at 0.6 load, one more joins at second 10, 20 times slower at first, warm after 10 s; counts 10 to 25")
        {
            Servers = Repeat(10, Queueing(4)),
            Joiner = Queueing(4) with { ServiceTime = (r, t) => Exponential(r, Mean) * Math.Max(1, 20 - (1.9 * (t - 10))) },
            JoinAt = 10,
            Rate = 0.6 * 10 * 4 / Mean,
            Duration = 25,
            CountFrom = 10,
        },
        new(Load, "20 servers that do one call at a time, exponential 10 ms, 0.9 load: waiting in queues is most of the latency")
        {
            Servers = Repeat(20, Queueing(1)),
            Rate = 0.9 * 20 / Mean,
            Duration = 100,
            CountFrom = 10,
        },
        new("load-0.9-100", "the same by 100 clients that know nothing of each other")
        {
            Servers = Repeat(20, Queueing(1)),
            Rate = 0.9 * 20 / Mean,
            Clients = 100,
            Duration = 100,
            CountFrom = 10,
        },
        new(ManyClients, "50 such servers by 100 clients")
        {
            Servers = Repeat(50, Queueing(1)),
            Rate = 0.9 * 50 / Mean,
            Clients = 100,
            Duration = 60,
            CountFrom = 10,
        },
        new(MostClients, "200 such servers by 1,000 clients")
        {
            Servers = Repeat(200, Queueing(1)),
            Rate = 0.9 * 200 / Mean,
            Clients = 1000,
            Duration = 40,
            CountFrom = 10,
        },
        new("many-uneven-100", "50 servers at 0.8 load by 100 clients, half of them three times as fast")
        {
            Servers = [.. Repeat(25, Queueing(1, 1.5)), .. Repeat(25, Queueing(1, 0.5))],
            Rate = 0.8 * 50 / Mean,
            Clients = 100,
            Duration = 60,
            CountFrom = 10,
        },
        new("many-sinkhole-100", "50 servers at 0.6 load by 100 clients, five fail every other call at once from second 5 on")
        {
            Servers = [.. Repeat(45, Queueing(4)), .. Repeat(5, Queueing(4) with { Fails = (r, t) => t > 5 && r.NextDouble() < 0.5 })],
            Rate = 0.6 * 50 * 4 / Mean,
            Clients = 100,
            Duration = 20,
        },
        new("load-0.9-pool", "20 servers of 4 workers at 0.9 load; without any queue p99 would be 46 ms")
        {
            Servers = Repeat(20, Queueing(4)),
            Rate = 0.9 * 20 * 4 / Mean,
            Duration = 40,
            CountFrom = 10,
        },
        new("load-0.9-pool-10", "the same by 10 clients that know nothing of each other")
        {
            Servers = Repeat(20, Queueing(4)),
            Rate = 0.9 * 20 * 4 / Mean,
            Clients = 10,
            Duration = 40,
            CountFrom = 10,
        },
        new("freeze", "10 servers of 8 workers at 0.5 load, one stands still for 3 s every 10 s, limit 5 s")
        {
            Servers =
            [
                .. Repeat(9, Queueing(8)),
                Queueing(8) with { ServiceTime = (r, t) => Exponential(r, Mean) + (t % 10 > 5 && t % 10 < 8 ? 8 - (t % 10) : 0) },
            ],
            Rate = 0.5 * 10 * 8 / Mean,
            Limit = 5,
            Duration = 30,
        },
        new("errors", "20 servers at 0.8 load, every hundredth call fails wherever it goes")
        {
            Servers = Repeat(20, Queueing(1) with { Fails = (r, _) => r.NextDouble() < 0.01 }),
            Rate = 0.8 * 20 / Mean,
            Duration = 60,
        },
        new("sinkhole-slow", "20 servers, 20 calls per second, two fail at once from second 5 on")
        {
            Servers = [.. Repeat(18, Queueing(4)), .. Repeat(2, Queueing(4) with { Fails = (_, t) => t > 5 })],
            Rate = 20,
            Duration = 120,
        },
        new("idle", "20 servers of 4 workers at 0.1 load")
        {
            Servers = Repeat(20, Queueing(4)),
            Rate = 0.1 * 20 * 4 / Mean,
            Duration = 30,
        },
        .. EqualServers(),
    ];

    /// <summary>
    /// Equal servers at rates at which load alone decides nothing: at once, with one that was slow while it compiled, and with one that joins.
    /// </summary>
    private static IEnumerable<Scenario> EqualServers()
    {
        foreach (var rate in new[] { 20, 400 })
        {
            foreach (var milliseconds in new[] { 0, 1, 20 })
            {
                foreach (var callers in new[] { 1, 2, 8 })
                {
                    var name = $"equal-{rate}-{milliseconds}ms-{callers}";
                    yield return Equal(name, "three equal servers", rate, milliseconds, callers) with { Servers = Repeat(3, Answering(milliseconds)) };
                    yield return Equal($"{name}-cold", "one of them slow in its first 5 s, counts from 20", rate, milliseconds, callers) with
                    {
                        Servers = [.. Repeat(2, Answering(milliseconds)), Answering(milliseconds, slowUntil: 5)],
                        CountFrom = 20,
                        Duration = 40,
                    };
                    yield return Equal($"{name}-join", "one of them joins at second 10, slow for 2 s, counts from 30", rate, milliseconds, callers) with
                    {
                        Servers = Repeat(2, Answering(milliseconds)),
                        Joiner = Answering(milliseconds, slowUntil: 12),
                        JoinAt = 10,
                        CountFrom = 30,
                        Duration = 50,
                    };
                }
            }
        }

        static Scenario Equal(string name, string what, int rate, int milliseconds, int callers)
            => new(name, $"{what}, {rate}/s by {callers} in turn, answers of {milliseconds} ms")
            {
                Servers = [],
                Rate = rate,
                Callers = callers,
                Duration = 20,
                IsFair = true,
            };
    }

    /// <summary>A service time with what schedulers add to it: a tenth of a millisecond or two, and now and then several.</summary>
    private static ServerModel Answering(int milliseconds, double slowUntil = 0) => new()
    {
        ServiceTime = (r, t) => (milliseconds / 1000.0) + Exponential(r, 0.0002) + (r.NextDouble() < 0.01 ? Exponential(r, 0.005) : 0)
            + (t < slowUntil ? Exponential(r, 0.3) : 0),
    };

    private static ServerModel Healthy() => new() { ServiceTime = (r, _) => LogNormal(r) };

    private static ServerModel Queueing(int workers, double speed = 1)
        => new() { Workers = workers, Capacity = speed, ServiceTime = (r, _) => Exponential(r, Mean / speed) };

    private static ServerModel[] Repeat(int count, ServerModel server) => [.. Enumerable.Repeat(server, count)];

    private static double Exponential(Random random, double mean) => -mean * Math.Log(1 - random.NextDouble());

    /// <summary>A median of 10 ms, and one call in a hundred over 60 ms: the shape that latencies of healthy servers have.</summary>
    private static double LogNormal(Random random)
    {
        var normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        return Mean * Math.Exp(0.77 * normal);
    }
}
