using System.Globalization;
using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd.Protocol;
using Xunit.Abstractions;

namespace Discovery.EmbeddedEtcd.Tests.Differential;

/// <summary>
/// The same random operations on a real and on the embedded etcd: all answers, errors and events are equal. A failure names the seed.
/// DIFFERENTIAL_SEED is another seed (see <see cref="RandomSeed"/>), and DIFFERENTIAL_OPERATIONS asks for more than 5,000.
/// </summary>
[Trait(Needs.Name, Needs.Etcd)]
public sealed class DifferentialTests(ITestOutputHelper output)
{
    private const int MostWatches = 12;

    private long _compacted = -1;
    private readonly HashSet<long> _rewriting = [];
    private Version _etcd = new();

    [Fact]
    public async Task Random_operations_have_the_same_outcome_as_with_etcd()
    {
        var seed = RandomSeed.From("DIFFERENTIAL_SEED");
        var operations = Setting("DIFFERENTIAL_OPERATIONS") ?? 5_000;
        output.WriteLine($"seed {seed}, {operations} operations");
        await using var real = await EtcdServer.StartAsync();
        await using var embedded = await EmbeddedEtcdServer.StartAsync(new EmbeddedEtcdOptions { RetainedRevisions = 0 });
        using var twin = new Twin(real.Endpoint, embedded.Endpoint);
        using var watches = new TwinWatches(twin);
        _etcd = Versions.Parse((await twin.Real.StatusAsync()).Version);
        var generator = new RequestGenerator(new Random(seed));
        for (var i = 0; i < operations; i++)
        {
            try
            {
                await StepAsync(generator, twin, watches);
                generator.Revision = embedded.Revision;
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"Operation {i} with DIFFERENTIAL_SEED={seed}: {e.Message}", e);
            }
        }

        await watches.SettleAsync();
        output.WriteLine($"revision {embedded.Revision}, {watches.Checked} event streams compared");
        Assert.True(watches.Checked > operations / 100);
    }

    private async Task StepAsync(RequestGenerator generator, Twin twin, TwinWatches watches)
    {
        switch (generator.Random.Next(100))
        {
            case < 30:
                await twin.CallAsync((c, r) => c.KeyValues.PutAsync(r), generator.Put());
                break;
            case < 50:
                await twin.CallAsync((c, r) => c.KeyValues.RangeAsync(r), generator.Range());
                break;
            case < 58:
                await twin.CallAsync((c, r) => c.KeyValues.DeleteRangeAsync(r), generator.Delete());
                break;
            case < 78:
                await TransactAsync(generator.Txn(), twin);
                break;
            case < 83:
                await twin.CallAsync((c, r) => c.Leases.LeaseGrantAsync(r), new LeaseGrantRequest { ID = generator.AnyLease(), TTL = 100_000 });
                break;
            case < 86:
                await twin.CallAsync((c, r) => c.Leases.LeaseRevokeAsync(r), new LeaseRevokeRequest { ID = generator.AnyLease() });
                break;
            case < 88:
                // What is left depends on the moment of asking.
                await twin.CallAsync(
                    (c, r) => c.Leases.LeaseTimeToLiveAsync(r), new LeaseTimeToLiveRequest { ID = generator.AnyLease(), Keys = generator.Chance(0.8) }, r => r.TTL = Math.Sign(r.TTL));
                break;
            case < 89:
                await twin.CallAsync((c, r) => c.Leases.LeaseLeasesAsync(r), new LeaseLeasesRequest());
                break;
            case < 90:
                await RenewAsync(generator.AnyLease(), twin);
                break;
            case < 95:
                await WatchAsync(generator.Watch(), generator.Revision, watches);
                break;
            case < 96:
                await twin.CallAsync((c, r) => c.Maintenance.HashKVAsync(r), new HashKVRequest());
                break;
            case < 98 when watches.Count > 0:
                await watches.CancelOneAsync(generator.Random);
                break;
            case 99:
                await CompactAsync(generator, twin, watches);
                break;
            default:
                break;
        }

        while (watches.Count > MostWatches)
        {
            await watches.CancelOneAsync(generator.Random);
        }
    }

    private async Task TransactAsync(TxnRequest request, Twin twin)
    {
        var response = await twin.CallAsync((c, r) => c.KeyValues.TxnAsync(r), request);
        if (response is not null && RequestGenerator.DeletesWithoutEnd(request))
        {
            _rewriting.Add(response.Header.Revision);
        }
    }

    private static async Task RenewAsync(long lease, Twin twin)
    {
        using var real = twin.Real.KeepAlive();
        using var embedded = twin.Embedded.KeepAlive();
        Twin.Same(Outcome.Of(await real.RenewAsync(lease)), Outcome.Of(await embedded.RenewAsync(lease)), $"LeaseKeepAlive {lease}");
    }

    private async Task WatchAsync(WatchCreateRequest request, long revision, TwinWatches watches)
    {
        if (request.StartRevision == _compacted && !_etcd.KeepsDeletionAtCompaction())
        {
            request.StartRevision++;
        }

        await watches.CreateAsync(request, revision, _compacted);
    }

    private async Task CompactAsync(RequestGenerator generator, Twin twin, TwinWatches watches)
    {
        // What compaction takes away from a watch that lags behind depends on how far it does.
        await watches.SettleAsync();
        // Compacted at 0, which nobody does, etcd 3.5 says -1 of all later compactions.
        var revision = Math.Max(1, generator.AnyRevision());

        // etcd 3.5 ends itself at the next read when it is compacted where one revision has deleted a key and put it again.
        while (_rewriting.Contains(revision))
        {
            revision--;
        }

        if (await twin.CallAsync((c, r) => c.KeyValues.CompactAsync(r), new CompactionRequest { Revision = revision, Physical = true }) is not null)
        {
            _compacted = revision;
        }
    }

    private static int? Setting(string name)
        => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? int.Parse(value, CultureInfo.InvariantCulture) : null;
}
