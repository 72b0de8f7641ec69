namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>
/// Endpoints on a ring of hashes, each at many places, in proportion to its weight. When one leaves, only the keys that were its own move.
/// </summary>
internal sealed class HashRing
{
    /// <summary>About how many places a usual endpoint has: with this many, shares of keys differ by about a tenth.</summary>
    private const int Places = 128;

    /// <summary>Very large services get fewer, or the ring would outgrow the cache and take long to build.</summary>
    private const int MostPlaces = 1 << 18;

    private readonly ulong[] _hashes;
    private readonly ServiceEndpoint[] _endpoints;

    public HashRing(ServiceEndpoint[] endpoints)
    {
        // An endpoint's places must not depend on who else is there, or all keys move when one leaves. The mean of the records' weights
        // hardly changes then, unless one goes that had most of the keys, and its power of four hardly ever.
        var perWeight = Places * Math.Pow(4, -Math.Round(Math.Log2(endpoints.Average(e => Math.Max(1, e.Instance.Weight))) / 2));
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
