using Discovery.EmbeddedEtcd.Contract;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.Watches;

/// <summary>Cuts a response that exceeds the message limit into parts, all but the last marked as fragments.</summary>
internal static class WatchFragments
{
    public static IEnumerable<WatchResponse> Of(WatchResponse response)
    {
        if (response.Events.Count < 2 || response.CalculateSize() < RequestLimits.MaxMessageSize)
        {
            yield return response;
            yield break;
        }

        var part = PartOf(response);
        var empty = part.CalculateSize();
        var size = empty;
        foreach (var @event in response.Events)
        {
            var added = @event.CalculateSize() + RequestLimits.FieldOverhead;
            if (part.Events.Count > 0 && size + added >= RequestLimits.MaxMessageSize)
            {
                yield return part;
                part = PartOf(response);
                size = empty;
            }

            part.Events.Add(@event);
            size += added;
        }

        part.Fragment = false;
        yield return part;
    }

    private static WatchResponse PartOf(WatchResponse response)
        => new() { Header = response.Header, WatchId = response.WatchId, Fragment = true };
}
