using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd.Protocol;
using Google.Protobuf;
using static Discovery.Etcd.Protocol.Compare.Types;
using static Discovery.Etcd.Protocol.RangeRequest.Types;

namespace Discovery.EmbeddedEtcd.Tests.Differential;

/// <summary>
/// Random requests on few keys, so that they meet; some of them wrong. Twelve keys at most, for etcd keeps the order of equals when
/// it sorts so many and does not when it sorts more.
/// </summary>
internal sealed class RequestGenerator(Random random)
{
    private const int LeaseIds = 6;

    public const int KeyCount = 12;

    /// <summary>The revision that both servers have reached, as far as known.</summary>
    public long Revision { get; set; } = 1;

    public Random Random => random;

    public bool Chance(double probability) => random.NextDouble() < probability;

    public static ByteString Key(int index) => ((char)('a' + index)).ToString().Bytes();

    public ByteString AnyKey() => Chance(0.01) ? ByteString.Empty : Key(random.Next(KeyCount));

    public long AnyLease() => 100 + random.Next(LeaseIds);

    /// <summary>A revision somewhere in history, now and then in the future or before all of it.</summary>
    public long AnyRevision() => random.Next(10) switch
    {
        0 => 0,
        1 => Revision + random.Next(1, 4),
        2 => random.Next(-3, 3),
        < 7 => Math.Max(1, Revision - random.Next(0, 12)),
        _ => random.NextInt64(1, Revision + 1),
    };

    public RangeRequest Range()
    {
        var request = new RangeRequest
        {
            Key = AnyKey(),
            RangeEnd = AnyEnd(),
            KeysOnly = Chance(0.1),
            CountOnly = Chance(0.1),
            Serializable = Chance(0.2),
            Limit = Chance(0.3) ? random.Next(-1, 6) : 0,
            Revision = Chance(0.5) ? AnyRevision() : 0,
        };
        if (Chance(0.4))
        {
            request.SortOrder = (SortOrder)random.Next(3);
            request.SortTarget = (SortTarget)random.Next(5);
        }

        if (Chance(0.3))
        {
            request.MinModRevision = Chance(0.4) ? AnyRevision() : 0;
            request.MaxModRevision = Chance(0.4) ? AnyRevision() : 0;
            request.MinCreateRevision = Chance(0.4) ? AnyRevision() : 0;
            request.MaxCreateRevision = Chance(0.4) ? AnyRevision() : 0;
        }

        return request;
    }

    public PutRequest Put() => new()
    {
        Key = AnyKey(),
        Value = Chance(0.9) ? ((char)('0' + random.Next(10))).ToString().Bytes() : ByteString.Empty,
        Lease = Chance(0.3) ? AnyLease() : 0,
        PrevKv = Chance(0.3),
        IgnoreValue = Chance(0.05),
        IgnoreLease = Chance(0.05),
    };

    public DeleteRangeRequest Delete() => new() { Key = AnyKey(), RangeEnd = Chance(0.7) ? ByteString.Empty : AnyEnd(), PrevKv = Chance(0.4) };

    public TxnRequest Txn(int depth = 0)
    {
        var request = new TxnRequest();
        request.Compare.AddRange(Several(3, _ => AnyCompare()));
        request.Success.AddRange(Several(4, _ => AnyOperation(depth)));
        request.Failure.AddRange(Several(4, _ => AnyOperation(depth)));
        if (depth == 0 && DeletesWithoutEnd(request))
        {
            // etcd ends itself when such a deletion takes away the record whose value or lease a put is to keep.
            foreach (var put in Operations(request).Select(o => o.RequestPut).Where(p => p is not null))
            {
                (put.IgnoreValue, put.IgnoreLease) = (false, false);
            }
        }

        return request;
    }

    public WatchCreateRequest Watch()
    {
        // No negative starts: what etcd then misses depends on the moment at which it catches up.
        var request = new WatchCreateRequest
        {
            Key = Key(random.Next(KeyCount)),
            RangeEnd = AnyEnd(),
            StartRevision = Chance(0.3) ? 0 : Math.Max(0, AnyRevision()),
            PrevKv = Chance(0.4),
            Fragment = Chance(0.2),
        };
        if (Chance(0.3))
        {
            request.Filters.Add(Chance(0.5) ? WatchCreateRequest.Types.FilterType.Noput : WatchCreateRequest.Types.FilterType.Nodelete);
        }

        return request;
    }

    /// <summary>Such a transaction may delete a key and put it again, which no other may.</summary>
    public static bool DeletesWithoutEnd(TxnRequest request)
        => Operations(request).Any(o => o.RequestDeleteRange?.RangeEnd is { Length: 1 } end && end[0] == 0);

    private static IEnumerable<RequestOp> Operations(TxnRequest request)
        => request.Success.Concat(request.Failure).SelectMany(o => o.RequestTxn is { } inner ? Operations(inner) : [o]);

    private ByteString AnyEnd() => random.Next(10) switch
    {
        < 4 => ByteString.Empty,
        4 => ByteString.CopyFrom(0),
        _ => Key(random.Next(KeyCount + 1)),
    };

    private Compare AnyCompare()
    {
        var compare = new Compare
        {
            Key = AnyKey(),
            RangeEnd = Chance(0.8) ? ByteString.Empty : AnyEnd(),
            Result = (CompareResult)random.Next(4),
            Target = (CompareTarget)random.Next(5),
        };
        switch (compare.Target)
        {
            case CompareTarget.Version:
                compare.Version = random.Next(4);
                break;
            case CompareTarget.Create:
                compare.CreateRevision = AnyRevision();
                break;
            case CompareTarget.Mod:
                compare.ModRevision = AnyRevision();
                break;
            case CompareTarget.Value:
                compare.Value = ((char)('0' + random.Next(10))).ToString().Bytes();
                break;
            default:
                compare.Lease = Chance(0.5) ? 0 : AnyLease();
                break;
        }

        return compare;
    }

    private RequestOp AnyOperation(int depth) => random.Next(depth < 2 ? 11 : 9) switch
    {
        < 4 => new RequestOp { RequestPut = Put() },
        < 6 => new RequestOp { RequestDeleteRange = Delete() },
        < 9 => new RequestOp { RequestRange = RangeInTxn() },
        _ => new RequestOp { RequestTxn = Txn(depth + 1) },
    };

    // A read of the past would make nearly all transactions fail.
    private RangeRequest RangeInTxn()
    {
        var request = Range();
        request.Revision = Chance(0.2) ? request.Revision : 0;
        return request;
    }

    private IEnumerable<T> Several<T>(int most, Func<int, T> create) => Enumerable.Range(0, random.Next(most)).Select(create);
}
