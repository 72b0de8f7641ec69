using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Connections;

/// <summary>
/// Which cluster the client belongs to: that of the first endpoint that answered. Endpoints of another one are not used; mixed clusters would
/// give a lease here and its keys there.
/// </summary>
internal sealed partial class ClusterIdentity(EndpointPool pool, TimeProvider time, ILogger logger, string section = EtcdClientOptions.DefaultSection)
{
    // A person may have corrected it: by moving the member, for the settings are read once.
    private static readonly TimeSpan RecheckAfter = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private readonly HashSet<(EtcdEndpoint, ulong)> _reported = [];
    private EtcdEndpoint? _first;
    private ulong _id;
    private long _replacedAt = long.MinValue;

    /// <summary>
    /// Raised with the id of another cluster that stands in the place of the former one, before it becomes the client's: streams are to be
    /// opened again. Handlers must be quick.
    /// </summary>
    public event Action<ulong>? Replaced;

    /// <summary>Whether an endpoint is to be asked for its cluster before anything is done there.</summary>
    public bool IsUnknown(EtcdEndpoint endpoint)
    {
        var id = Volatile.Read(ref _id);
        return id != 0 && endpoint.Cluster.Id != id;
    }

    /// <summary>Takes in the cluster id of an endpoint's answer.</summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="id">The id; 0 where a proxy left it out.</param>
    /// <param name="askedAt">When it was asked, as a timestamp.</param>
    /// <returns>Whether it is the client's cluster.</returns>
    public bool Accept(EtcdEndpoint endpoint, ulong id, long askedAt)
    {
        // What nearly every answer says.
        if (id == 0 || (id == Volatile.Read(ref _id) && id == endpoint.Cluster.Id))
        {
            return true;
        }

        lock (_gate)
        {
            if (_id == 0 || id == _id)
            {
                _first ??= endpoint;
                Volatile.Write(ref _id, id);
                endpoint.Cluster.Belongs(id);
                return true;
            }

            if (askedAt < _replacedAt)
            {
                // By a connection to the cluster before, which may live on.
                return false;
            }

            if (endpoint.Cluster.Id == _id)
            {
                // It belonged to our cluster and belongs to another one now: the cluster was replaced. The others have to show where they belong.
                if (_reported.Add((endpoint, id)))
                {
                    Log.Replaced(logger, endpoint.Name, _id, id);
                }

                // Nobody may go on at the former cluster, which may still run: its next answer would be taken for one more replacement.
                foreach (var other in pool.All)
                {
                    other.Replaced();
                }

                Replaced?.Invoke(id);
                _first = endpoint;
                _replacedAt = time.GetTimestamp();
                Volatile.Write(ref _id, id);
                endpoint.Cluster.Belongs(id);
                return true;
            }

            endpoint.Cluster.BelongsElsewhere(id, time.GetTimestamp() + (long)(RecheckAfter.TotalSeconds * time.TimestampFrequency));
            if (_reported.Add((endpoint, id)))
            {
                Log.Mixed(logger, section, section.Replace(":", "__", StringComparison.Ordinal), _first!.Name, _id, endpoint.Name, id);
            }

            return false;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1011, LogLevel.Error, "The endpoints of {Section}:Endpoints belong to different clusters: {First} to cluster {FirstId:x}, {Other} to "
            + "cluster {OtherId:x}, which is not used. A variable such as {Variable}__Endpoints__0 replaces one entry of a list from appsettings.json and "
            + "leaves the others; to replace the whole list, set {Variable}__Endpoints to one text with all URLs, separated by commas.")]
        public static partial void Mixed(ILogger logger, string section, string variable, string first, ulong firstId, string other, ulong otherId);

        [LoggerMessage(1012, LogLevel.Warning, "Another cluster answers at {Endpoint}: it was {FormerId:x} and is {Id:x}.")]
        public static partial void Replaced(ILogger logger, string endpoint, ulong formerId, ulong id);
    }
}
