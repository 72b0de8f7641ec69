using System.Collections.Concurrent;
using System.Threading.Channels;
using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Tests.Differential;

/// <summary>Reads one watch stream and keeps what each of its watches was told.</summary>
internal sealed class WatchRecorder : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly WatchCall _call;
    private readonly Channel<WatchResponse> _answers = Channel.CreateUnbounded<WatchResponse>();
    private readonly ConcurrentDictionary<long, Transcript> _transcripts = new();

    public WatchRecorder(WatchCall call)
    {
        _call = call;
        _ = ReadAsync();
    }

    public Transcript this[long id] => _transcripts[id];

    public async Task<WatchResponse> CreateAsync(WatchCreateRequest request)
    {
        _call.Send(request);
        return await _answers.Reader.ReadAsync().AsTask().WaitAsync(Limit);
    }

    public async Task<WatchResponse> CancelAsync(long id)
    {
        _call.Cancel(id);
        return await _answers.Reader.ReadAsync().AsTask().WaitAsync(Limit);
    }

    public void Dispose() => _call.Dispose();

    private async Task ReadAsync()
    {
        try
        {
            while (true)
            {
                Take(await _call.NextAsync());
            }
        }
        catch (Exception e) when (e is RpcException or InvalidOperationException or OperationCanceledException or TimeoutException)
        {
            _answers.Writer.TryComplete(e);
        }
    }

    private void Take(WatchResponse response)
    {
        if (response.Created || (response.Canceled && response.CompactRevision == 0))
        {
            if (response is { Created: true, Canceled: false })
            {
                _transcripts[response.WatchId] = new Transcript();
            }

            _answers.Writer.TryWrite(response);
            return;
        }

        _transcripts[response.WatchId].Add(response);
    }

    /// <summary>The events of one watch, and its end if compaction ended it. How events are spread over responses does not matter.</summary>
    internal sealed class Transcript
    {
        private readonly List<string> _lines = [];

        public long LastRevision { get; private set; }

        public string Text
        {
            get
            {
                lock (_lines)
                {
                    return string.Join('\n', _lines);
                }
            }
        }

        public void Add(WatchResponse response)
        {
            lock (_lines)
            {
                _lines.AddRange(response.Events.Select(e => e.ToString()));
                if (response.Canceled)
                {
                    _lines.Add($"cancelled: compacted at {response.CompactRevision}");
                }

                LastRevision = response.Canceled ? long.MaxValue : response.Events[^1].Kv.ModRevision;
            }
        }
    }
}
