namespace Discovery.Etcd.Connections;

/// <summary>
/// The endpoints of a client, and which of them to use next. Each client has an order of its own, so that many spread over the members, also
/// those whose member died. The one in use is kept while it works; some time later the client returns to its first.
/// </summary>
internal sealed class EndpointPool : IDisposable
{
    private static readonly TimeSpan ReturnAfter = TimeSpan.FromMinutes(45);

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly Position _calls = new();
    private readonly Position _streams = new();

    /// <summary>Creates the pool.</summary>
    /// <param name="endpoints">The endpoints as configured.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">Gives the order.</param>
    public EndpointPool(IEnumerable<EtcdEndpoint> endpoints, TimeProvider time, Random? random = null)
    {
        var all = endpoints.ToArray();
        (random ?? Random.Shared).Shuffle(all);
        All = all;
        _time = time;
    }

    /// <summary>All endpoints, in the client's order.</summary>
    public IReadOnlyList<EtcdEndpoint> All { get; }

    /// <summary>The latest raft term that one of them is known to have had a leader in; 0 while none is known.</summary>
    public ulong Term
    {
        get
        {
            var latest = 0UL;
            for (var i = 0; i < All.Count; i++)
            {
                latest = Math.Max(latest, All[i].Term);
            }

            return latest;
        }
    }

    /// <summary>Where one kind of calls goes at present.</summary>
    public EtcdEndpoint Current(CallKind kind)
    {
        lock (_gate)
        {
            return All[(kind == CallKind.Stream ? _streams : _calls).Index];
        }
    }

    /// <summary>How the endpoints stand.</summary>
    /// <param name="addresses">Their addresses, in the order of the result.</param>
    public IReadOnlyList<EtcdEndpointStatus> GetStatus(IEnumerable<Uri> addresses)
    {
        var calls = Current(CallKind.Unary);
        var streams = Current(CallKind.Stream);
        var now = _time.GetTimestamp();
        return
        [
            .. addresses.Select(address => All.First(e => e.Address == address)).Select(e => new EtcdEndpointStatus
            {
                Endpoint = e.Address,
                ServesCalls = e == calls,
                ServesStreams = e == streams,
                PauseLeft = TimeSpan.FromTicks(Math.Max(e.CallHealth.PauseLeft.Ticks, e.StreamHealth.PauseLeft.Ticks)),
                SinceFirstUse = e.CallHealth.SinceFirstUse,
                SinceAnswer = e.CallHealth.SinceAnswer,
                Failure = e.CallHealth.Failure,
                IsForeign = e.Cluster.IsForeignAt(now),
            }),
        ];
    }

    /// <summary>Whether these are all that may be chosen.</summary>
    public bool AreAllAmong(IReadOnlyCollection<EtcdEndpoint> endpoints) =>
        All.All(e => endpoints.Contains(e) || e.Cluster.IsForeignAt(_time.GetTimestamp()));

    /// <summary>
    /// Chooses an endpoint: the present one, else the next in good order, else the one whose pause ends first. Those of another cluster are
    /// not chosen.
    /// </summary>
    /// <param name="avoid">Those that this operation has tried already; when it tried all, they count again.</param>
    /// <param name="kind">What for.</param>
    public EtcdEndpoint Choose(IReadOnlyCollection<EtcdEndpoint> avoid, CallKind kind = CallKind.Unary)
    {
        lock (_gate)
        {
            var position = kind == CallKind.Stream ? _streams : _calls;
            var now = _time.GetTimestamp();
            if (position.Index != 0 && _time.GetElapsedTime(position.MovedAt, now) >= position.Stay)
            {
                position.Index = 0;
            }

            var present = All[position.Index];
            if (present.HealthOf(kind).PauseLeft == TimeSpan.Zero && !present.Cluster.IsForeignAt(now) && !avoid.Contains(present))
            {
                position.MoveTo(position.Index, now);
            }
            else
            {
                present = ChooseAnotherLockHeld(position, avoid, kind, now);
            }

            present.HealthOf(kind).Used(now);
            return present;
        }
    }

    /// <summary>
    /// Whether a stream is to be opened anew at the client's first endpoint: streams sit where they fled to, and a member that was restarted
    /// would have none for ever.
    /// </summary>
    /// <param name="endpoint">Where the stream is.</param>
    public bool IsReturnDue(EtcdEndpoint endpoint)
    {
        lock (_gate)
        {
            return endpoint != All[0] && All[0].StreamHealth.PauseLeft == TimeSpan.Zero && !All[0].Cluster.IsForeignAt(_time.GetTimestamp())
                && _time.GetElapsedTime(_streams.MovedAt) >= _streams.Stay;
        }
    }

    public void Dispose()
    {
        foreach (var endpoint in All)
        {
            endpoint.Dispose();
        }
    }

    private EtcdEndpoint ChooseAnotherLockHeld(Position position, IReadOnlyCollection<EtcdEndpoint> avoid, CallKind kind, long now)
    {
        var usable = All.Where(e => !e.Cluster.IsForeignAt(now)).ToList();
        usable = usable.Count > 0 ? usable : [.. All];
        var untried = usable.Where(e => !avoid.Contains(e)).ToList();
        untried = untried.Count > 0 ? untried : usable;
        var start = position.Index;
        EtcdEndpoint? soonest = null;
        var least = TimeSpan.MaxValue;
        for (var i = 0; i < All.Count; i++)
        {
            var index = (start + i) % All.Count;
            var endpoint = All[index];
            if (!untried.Contains(endpoint))
            {
                continue;
            }

            var left = endpoint.HealthOf(kind).PauseLeft;
            if (left == TimeSpan.Zero)
            {
                position.MoveTo(index, now);
                return endpoint;
            }

            if (left < least)
            {
                (soonest, least) = (endpoint, left);
            }
        }

        return soonest!;
    }

    /// <summary>Where one kind of calls goes.</summary>
    private sealed class Position
    {
        public int Index { get; set; }

        public long MovedAt { get; private set; }

        /// <summary>How long to stay elsewhere than at the first.</summary>
        public TimeSpan Stay { get; private set; }

        public void MoveTo(int index, long now)
        {
            if (index != Index || (index == 0 && Stay == TimeSpan.Zero))
            {
                (Index, MovedAt, Stay) = (index, now, Jitter.Spread(ReturnAfter));
            }
        }
    }
}
