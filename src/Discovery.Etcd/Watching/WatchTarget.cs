using System.Text;
using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Protocol;
using Google.Protobuf;

namespace Discovery.Etcd.Watching;

/// <summary>Which keys a watch is for, and what of their changes.</summary>
/// <param name="Name">How the log names it: the prefix, or the first key.</param>
/// <param name="Range">The keys.</param>
internal sealed record WatchTarget(string Name, KeyRange Range)
{
    private bool WithPrevious { get; init; }

    private bool SkipPuts { get; init; }

    private bool SkipDeletions { get; init; }

    public static WatchTarget From(EtcdWatchOptions options) =>
        new(Encoding.UTF8.GetString(options.Key.Span), new KeyRange(ByteString.CopyFrom(options.Key.Span), ByteString.CopyFrom(options.RangeEnd.Span)))
        {
            WithPrevious = options.WithPrevious,
            SkipPuts = options.SkipPuts,
            SkipDeletions = options.SkipDeletions,
        };

    /// <summary>The request that creates the watch.</summary>
    public WatchCreateRequest CreateRequest(long startRevision)
    {
        var request = new WatchCreateRequest { Key = Range.Start, RangeEnd = Range.End, StartRevision = startRevision, PrevKv = WithPrevious };
        if (SkipPuts)
        {
            request.Filters.Add(WatchCreateRequest.Types.FilterType.Noput);
        }

        if (SkipDeletions)
        {
            request.Filters.Add(WatchCreateRequest.Types.FilterType.Nodelete);
        }

        return request;
    }
}
