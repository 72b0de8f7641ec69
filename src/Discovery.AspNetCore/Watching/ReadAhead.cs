using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// Reads the records of a first list page by page, each page while the next one is on its way. When the last one is there, little is left to do.
/// </summary>
internal sealed class ReadAhead(string serviceName, IServiceLayout layout)
{
    private readonly List<EtcdKeyValue> _records = [];
    private Task _reading = Task.CompletedTask;

    /// <summary>What the records make.</summary>
    public InstanceIndex Index { get; } = new(serviceName, layout);

    /// <summary>How many records of the list were read.</summary>
    public int Count => _records.Count;

    /// <summary>The records that are no instances, and why.</summary>
    public List<(EtcdKeyValue Record, string Problem)> Skipped { get; } = [];

    /// <summary>Has a page read. Pages come one after another.</summary>
    public void OnPage(IReadOnlyList<EtcdKeyValue> page)
        => _reading = _reading.ContinueWith(_ => Read(page), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);

    /// <summary>Waits until all pages were read that came.</summary>
    /// <returns>Whether they are what the list begins with. They are not if it had to start over.</returns>
    public async Task<bool> FinishAsync(EtcdListing listing)
    {
        await _reading.ConfigureAwait(false);
        for (var i = 0; i < _records.Count; i++)
        {
            if (i >= listing.Items.Count || !ReferenceEquals(_records[i], listing.Items[i]))
            {
                return false;
            }
        }

        return true;
    }

    private void Read(IReadOnlyList<EtcdKeyValue> page)
    {
        Index.EnsureRoom(page.Count);
        Index.PutListed(page, (record, problem) => Skipped.Add((record, problem)));
        _records.AddRange(page);
    }
}
