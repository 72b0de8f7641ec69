namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>
/// Endpoints on a ring of hashes, each at many places, in proportion to its weight. When one leaves, only the keys that were its own move.
/// </summary>
internal sealed class HashRing
{
    /// <summary>128 for an endpoint of the usual weight of 10: with this many, shares of keys differ by about a tenth.</summary>
    private const double PlacesPerWeight = 12.8;

    /// <summary>How many places an endpoint has on average at least, where weights are small.</summary>
    private const double LeastPlaces = 100;

    /// <summary>The same at most, where weights are large: more cost time and memory and even out nothing.</summary>
    private const double EnoughPlaces = 2500;

    /// <summary>Very large services get fewer, or the ring would outgrow the cache and take long to build.</summary>
    private const int MostPlaces = 1 << 18;

    private readonly ulong[] _hashes;
    private readonly ServiceEndpoint[] _endpoints;

    public HashRing(ServiceEndpoint[] endpoints)
    {
        // An endpoint's places must not depend on who else is there, or keys move that are not those of the one that leaves. Where weights
        // are so small or large that they must, they follow the mean: then as many keys as one endpoint has may move besides, but never
        // nearly all.
        var mean = endpoints.Average(e => Math.Max(1, e.Instance.Weight));
        var perWeight = Math.Clamp(PlacesPerWeight, LeastPlaces / mean, EnoughPlaces / mean);
        perWeight *= Math.Min(1, MostPlaces / (endpoints.Sum(e => e.Weight) * perWeight));

        var hashes = new List<ulong>();
        var owners = new List<ServiceEndpoint>();
        foreach (var endpoint in endpoints)
        {
            var seed = StableHash.Of(endpoint.Instance.Key);
            var places = Math.Max(1, (int)Math.Round(endpoint.Weight * perWeight));
            for (var i = 0; i < places; i++)
            {
                hashes.Add(StableHash.Mix(seed + (ulong)i));
                owners.Add(endpoint);
            }
        }

        _hashes = [.. hashes];
        _endpoints = [.. owners];
        Array.Sort(_hashes, _endpoints);
    }

    public int Count => _hashes.Length;

    /// <summary>The endpoint at a place; the ring goes round.</summary>
    public ServiceEndpoint this[int place] => _endpoints[place < _endpoints.Length ? place : place - _endpoints.Length];

    /// <summary>The first place at or after the key's hash.</summary>
    public int PlaceOf(string key)
    {
        var place = Array.BinarySearch(_hashes, StableHash.Of(key));
        place = place < 0 ? ~place : place;
        return place == _hashes.Length ? 0 : place;
    }
}
