using System.Globalization;
using System.Text.RegularExpressions;
using Discovery.EmbeddedEtcd.Tests.Support;

namespace Discovery.EmbeddedEtcd.Tests.Foreign;

/// <summary>etcd's own command line client.</summary>
public abstract partial class EtcdctlConformance(IServer server) : ConformanceTest(server)
{
    [Fact]
    public async Task Puts_gets_and_deletes()
    {
        Assert.Equal("OK", await RunAsync("put", Key("a"), "1"));
        Assert.Equal("OK", await RunAsync("put", Key("b"), "2"));
        Assert.Equal("OK\n1", (await RunAsync("put", Key("a"), "3", "--prev-kv")).Replace($"\n{Key("a")}", "", StringComparison.Ordinal));

        Assert.Equal($"{Key("a")}\n3\n{Key("b")}\n2", await RunAsync("get", "--prefix", Key("")));
        Assert.Equal(Key("b"), await RunAsync("get", "--prefix", Key(""), "--keys-only", "--order=DESCEND", "--limit=1"));
        Assert.Equal("3", await RunAsync("get", Key("a"), "--print-value-only"));
        Assert.Equal("2", await RunAsync("del", "--prefix", Key("")));
        Assert.Empty(await RunAsync("get", "--prefix", Key("")));
    }

    [Fact]
    public async Task Watches_the_past_and_the_present()
    {
        await RunAsync("put", Key("a"), "1");
        var revision = (await Client.GetAsync(Key("a"))).Kvs[0].ModRevision;
        await using var watch = await StartAsync("watch", "--prefix", Key(""), $"--rev={revision}");
        await Eventually.IsTrue(() => watch.Output.Contains($"PUT\n{Key("a")}\n1", StringComparison.Ordinal));

        await RunAsync("put", Key("b"), "2");
        await RunAsync("del", Key("a"));

        await Eventually.IsTrue(() => watch.Output.EndsWith($"PUT\n{Key("b")}\n2\nDELETE\n{Key("a")}\n\n", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Grants_keeps_and_revokes_leases()
    {
        var id = LeaseId().Match(await RunAsync("lease", "grant", "600")).Groups["id"].Value;
        await RunAsync("put", Key("a"), "1", "--lease=" + id);

        Assert.Contains(id, await RunAsync("lease", "list"), StringComparison.Ordinal);
        Assert.Matches($"lease {id} granted with TTL\\(600s\\), remaining\\(\\d+s\\), attached keys\\(\\[{Key("a")}\\]\\)", await RunAsync("lease", "timetolive", id, "--keys"));
        Assert.Equal($"lease {id} keepalived with TTL(600)", await RunAsync("lease", "keep-alive", "--once", id));
        Assert.Equal($"lease {id} revoked", await RunAsync("lease", "revoke", id));
        Assert.Empty(await RunAsync("get", Key("a")));
        Assert.Contains("etcdserver: requested lease not found", await FailAsync("lease", "revoke", id), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keeps_a_short_lease_alive()
    {
        var id = LeaseId().Match(await RunAsync("lease", "grant", "5")).Groups["id"].Value;
        await using var keeper = await StartAsync("lease", "keep-alive", id);

        // Renewed at a third of its time, it would have ended by then. Not shorter: a slow machine must not lose it.
        await Eventually.IsTrue(() => keeper.Output.Split('\n').Count(l => l.Contains("keepalived with TTL(5)", StringComparison.Ordinal)) > 4);

        Assert.NotEqual(-1, (await Client.TimeToLiveAsync(long.Parse(id, NumberStyles.HexNumber, CultureInfo.InvariantCulture))).TTL);
    }

    [Fact]
    public async Task Runs_transactions()
    {
        await RunAsync("put", Key("a"), "1");
        var transaction = $"""
            value("{Key("a")}") = "1"
            create("{Key("b")}") = "0"

            put {Key("b")} 2
            get {Key("a")}

            put {Key("c")} 3


            """;

        Assert.Equal($"SUCCESS\n\nOK\n\n{Key("a")}\n1", await RunWithInputAsync(transaction, "txn"));
        Assert.Equal("FAILURE\n\nOK", await RunWithInputAsync(transaction, "txn"));
        Assert.Equal($"{Key("a")}\n{Key("b")}\n{Key("c")}", (await RunAsync("get", "--prefix", Key(""), "--keys-only")).Replace("\n\n", "\n", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Compacts_and_cannot_read_before()
    {
        await RunAsync("put", Key("a"), "1");
        var first = (await Client.GetAsync(Key("a"))).Kvs[0].ModRevision;
        await RunAsync("put", Key("a"), "2");

        Assert.Equal("1", await RunAsync("get", Key("a"), $"--rev={first}", "--print-value-only"));
        Assert.Equal($"compacted revision {first + 1}", await RunAsync("compaction", $"{first + 1}", "--physical"));
        Assert.Contains("etcdserver: mvcc: required revision has been compacted", await FailAsync("get", Key("a"), $"--rev={first}"), StringComparison.Ordinal);
        Assert.Contains("watch was canceled (etcdserver: mvcc: required revision has been compacted)", await FailAsync("watch", Key("a"), $"--rev={first}"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tells_status_members_and_health()
    {
        Assert.Contains($"{Endpoint}, ", await RunAsync("endpoint", "status"), StringComparison.Ordinal);
        Assert.Contains($", {Endpoint}, false", await RunAsync("member", "list"), StringComparison.Ordinal);
        Assert.Contains("is healthy", await RunAsync("endpoint", "health"), StringComparison.Ordinal);
        Assert.Contains("is healthy", await RunAsync("endpoint", "health", "--cluster"), StringComparison.Ordinal);
        Assert.StartsWith($"{Endpoint}, ", await RunAsync("endpoint", "hashkv"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Does_the_usual_housekeeping()
    {
        Assert.Empty(await RunAsync("alarm", "list"));
        Assert.Empty(await RunAsync("alarm", "disarm"));
        Assert.Contains($"Finished defragmenting etcd member[{Endpoint}]", await RunAsync("defrag"), StringComparison.Ordinal);
        if (Versions.Parse(await BinaryVersionAsync()).HasAuthStatus() && (await VersionAsync()).HasAuthStatus())
        {
            Assert.Contains("Authentication Status: false", await RunAsync("auth", "status"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Locks()
        => Assert.Equal("held", await RunAsync("lock", Key("lock"), "echo", "held"));

    [Fact]
    public async Task A_lock_waits_for_the_one_before_it()
    {
        await using var first = await StartAsync("lock", Key("lock"));
        await Eventually.IsTrue(() => first.Output.Contains(Key("lock"), StringComparison.Ordinal));
        await using var second = await StartAsync("lock", Key("lock"));
        await Eventually.IsTrue(async () => (await Client.RangeAsync(All())).Count == 2);
        Assert.Empty(second.Output);

        await first.TerminateAsync();

        await Eventually.IsTrue(() => second.Output.Contains(Key("lock"), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Elects_and_is_observed()
    {
        await using var observer = await StartAsync("elect", "--listen", Key("leader"));
        await using var first = await StartAsync("elect", Key("leader"), "one");
        await Eventually.IsTrue(() => observer.Output.Contains("one", StringComparison.Ordinal));
        await using var second = await StartAsync("elect", Key("leader"), "two");
        await Eventually.IsTrue(async () => (await Client.RangeAsync(All())).Count == 2);

        await first.TerminateAsync();

        await Eventually.IsTrue(() => observer.Output.Contains("two", StringComparison.Ordinal) && second.Output.Contains("two", StringComparison.Ordinal));
    }

    private static async Task<string> BinaryVersionAsync()
    {
        var (_, output) = await Tool.RunAsync(EtcdBinary.Etcdctl, ["version"]);
        return output["etcdctl version: ".Length..output.IndexOf('\n', StringComparison.Ordinal)].Trim();
    }

    private Task<string> RunAsync(params string[] arguments) => RunWithInputAsync("", arguments);

    private async Task<string> RunWithInputAsync(string input, params string[] arguments)
    {
        var (succeeded, output) = await Tool.RunAsync(EtcdBinary.Etcdctl, arguments, input, environment: Environment());
        Assert.True(succeeded, $"etcdctl {string.Join(' ', arguments)}\n{output}");
        return output.Trim();
    }

    private async Task<string> FailAsync(params string[] arguments)
    {
        var (succeeded, output) = await Tool.RunAsync(EtcdBinary.Etcdctl, arguments, environment: Environment());
        Assert.False(succeeded, output);
        return output;
    }

    private Task<OwnedProcess> StartAsync(params string[] arguments) => OwnedProcess.StartAsync(EtcdBinary.Etcdctl, arguments, environment: Environment());

    private Dictionary<string, string> Environment() => new(StringComparer.Ordinal) { ["ETCDCTL_API"] = "3", ["ETCDCTL_ENDPOINTS"] = Endpoint };

    [GeneratedRegex("lease (?<id>\\w+) granted", RegexOptions.ExplicitCapture)]
    private static partial Regex LeaseId();
}

[Collection(EmbeddedTests.Name)]
[Trait(Needs.Name, Needs.Etcdctl)]
public sealed class EtcdctlOnEmbedded(EmbeddedServer server) : EtcdctlConformance(server);

[Collection(RealTests.Name)]
[Trait(Needs.Name, Needs.Etcd)]
public sealed class EtcdctlOnEtcd(RealServer server) : EtcdctlConformance(server);
