using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests.Support;

/// <summary>Listens to the metrics of one application, as an exporter does.</summary>
internal sealed class MetricRecorder : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentQueue<Measured> _measured = new();
    private readonly ConcurrentDictionary<string, Instrument> _instruments = new(StringComparer.Ordinal);

    /// <param name="application">The application's services.</param>
    /// <param name="instruments">Whose measurements are wanted; default: those of all.</param>
    public MetricRecorder(IServiceProvider application, Func<Instrument, bool>? instruments = null)
    {
        var meters = application.GetRequiredService<IMeterFactory>();
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Scope == meters && instrument.Meter.Name.StartsWith("Discovery.", StringComparison.Ordinal))
            {
                _instruments[instrument.Name] = instrument;
                if (instruments?.Invoke(instrument) != false)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            }
        };
        _listener.SetMeasurementEventCallback<long>((i, value, tags, _) => Add(i, value, tags));
        _listener.SetMeasurementEventCallback<int>((i, value, tags, _) => Add(i, value, tags));
        _listener.SetMeasurementEventCallback<double>((i, value, tags, _) => Add(i, value, tags));
        _listener.Start();
    }

    public IEnumerable<Instrument> Instruments => _instruments.Values;

    /// <summary>All that was measured.</summary>
    public IReadOnlyCollection<Measured> All => _measured;

    /// <summary>What an exporter would show: the sum of what was counted, or what an observed value is now.</summary>
    /// <param name="name">The instrument's name.</param>
    /// <param name="tags">Tags that a measurement must have.</param>
    public double Value(string name, params (string Name, object Value)[] tags)
    {
        if (_instruments.TryGetValue(name, out var instrument) && instrument.IsObservable)
        {
            var before = _measured.Count;
            _listener.RecordObservableInstruments();
            return Matching(_measured.Skip(before), name, tags).Sum(static m => m.Value);
        }

        return Matching(_measured, name, tags).Sum(static m => m.Value);
    }

    /// <summary>How many measurements there are.</summary>
    public int Count(string name, params (string Name, object Value)[] tags) => Matching(_measured, name, tags).Count();

    public void Dispose() => _listener.Dispose();

    private static IEnumerable<Measured> Matching(IEnumerable<Measured> measured, string name, (string Name, object Value)[] tags)
        => measured.Where(m => m.Name == name && Array.TrueForAll(tags, t => m.Tags.TryGetValue(t.Name, out var value) && Equals(value, t.Value)));

    private void Add(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        => _measured.Enqueue(new Measured(instrument.Name, value, tags.ToArray().ToDictionary(StringComparer.Ordinal)));

    /// <summary>One measurement.</summary>
    internal sealed record Measured(string Name, double Value, IReadOnlyDictionary<string, object?> Tags);
}
