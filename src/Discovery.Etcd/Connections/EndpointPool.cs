namespace Discovery.Etcd.Connections;

/// <summary>
/// The endpoints of a client, and which of them to use next. The one in use is kept while it works; each client starts at a random one,
/// so that many spread over the members.
/// </summary>
internal sealed class EndpointPool : IDisposable
{
    private readonly Lock _gate = new();
    private int _current;

    public EndpointPool(IReadOnlyList<EtcdEndpoint> endpoints, int? start = null)
    {
        All = endpoints;
        _current = start ?? Random.Shared.Next(endpoints.Count);
    }

    public IReadOnlyList<EtcdEndpoint> All { get; }

    /// <summary>Chooses an endpoint: the present one, else the next in good order, else the one whose pause ends first.</summary>
    /// <param name="avoid">Those that this operation has tried already; when it tried all, they count again.</param>
    public EtcdEndpoint Choose(IReadOnlyCollection<EtcdEndpoint> avoid)
    {
        lock (_gate)
        {
            EtcdEndpoint? soonest = null;
            var least = TimeSpan.MaxValue;
            for (var i = 0; i < All.Count; i++)
            {
                var index = (_current + i) % All.Count;
                var endpoint = All[index];
                if (avoid.Count < All.Count && avoid.Contains(endpoint))
                {
                    continue;
                }

                var left = endpoint.PauseLeft;
                if (left == TimeSpan.Zero)
                {
                    _current = index;
                    return endpoint;
                }

                if (left < least)
                {
                    (soonest, least) = (endpoint, left);
                }
            }

            return soonest!;
        }
    }

    public void Dispose()
    {
        foreach (var endpoint in All)
        {
            endpoint.Dispose();
        }
    }
}
