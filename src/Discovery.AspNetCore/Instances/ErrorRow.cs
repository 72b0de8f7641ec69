namespace Discovery.AspNetCore.Instances;

/// <summary>
/// The calls to an instance that ended with an exception in the application's code: HTTP 500, INTERNAL, UNKNOWN. Most are what a request causes
/// wherever it goes, so they say something of the instance only beside what others do: if they serve the same requests, or all of theirs, and if chance
/// cannot be the reason that these came here. Lock-free.
/// </summary>
/// <param name="instance">The instance.</param>
/// <param name="context">What the instances share.</param>
internal sealed class ErrorRow(InstanceState instance, InstanceContext context)
{
    /// <summary>After an ejection so many are enough, and so much of the certainty: less has to be proved a second time.</summary>
    private const int AgainInRow = 2;

    private const double AgainCertainty = 0.4 * RefusalRow.Certainty;

    /// <summary>How many times as many are needed where the same few requests fail, and nobody else is asked for anything.</summary>
    private const int SamePerDifferent = 4;

    private readonly RefusalRow _row = new();
    private int _all;

    /// <summary>Whether the latest answer was no error.</summary>
    public bool IsEmpty => Volatile.Read(ref _all) == 0;

    /// <summary>Whether one of the latest answers was no error.</summary>
    public bool IsShort => _row.IsShort;

    /// <summary>Whether nothing is left of a share of errors.</summary>
    public bool IsForgotten => _row.IsForgotten;

    /// <summary>The share of errors among about the last 20 answers, from 0 to 1, which takes some answers to come up.</summary>
    public double Rate => _row.Rate;

    /// <summary>The same if there were fewer answers.</summary>
    /// <param name="answers">How many there were.</param>
    public double RateOf(long answers) => _row.RateOf(answers);

    /// <summary>An answer was an error.</summary>
    /// <param name="request">To which request.</param>
    /// <param name="hashKey">
    /// Of which hash key it is; null for none. The calls of one always go to one instance, and may fail for what belongs to the key: they count once.
    /// </param>
    /// <param name="startedAt">When the call began.</param>
    public void Add(ulong request, string? hashKey, long startedAt)
    {
        Interlocked.Increment(ref _all);
        _row.OnStrangeAnswerTo(request);
        if (hashKey is null || _row.IsNew(hashKey))
        {
            _row.Add(startedAt);
        }
    }

    /// <summary>The instance answered otherwise.</summary>
    public void End()
    {
        _row.End();
        _all = 0;
    }

    /// <summary>The row begins anew; the share stays.</summary>
    public void Restart()
    {
        _row.Restart();
        _all = 0;
    }

    /// <summary>Why the instance is to be ejected, after an error; null if it is not.</summary>
    /// <param name="options">The settings.</param>
    /// <param name="hasKey">Whether the latest error is of a hash key.</param>
    /// <param name="onProbation">Whether nothing else came since the last ejection.</param>
    public string? FindReason(EjectionOptions options, bool hasKey, bool onProbation)
    {
        // Of a few keys no row is long, and one key alone says nothing; but few are all that a server of a small service has.
        var longRow = InstanceHealth.UncomparedPerFailure * options.ConsecutiveFailures;
        var all = Volatile.Read(ref _all);
        var inRow = _row.Keys >= RefusalRow.Least && all >= longRow ? all : _row.Count;
        var first = _row.FirstAt;
        if (inRow >= (onProbation ? AgainInRow : options.ConsecutiveFailures))
        {
            var areDifferent = _row.Requests >= RefusalRow.Least;
            if (!context.OthersAnsweredSince(instance, first))
            {
                // Such as by PickFirst. Nothing is lost where another is asked, and that tells.
                return inRow >= (areDifferent ? longRow : SamePerDifferent * longRow) && context.HasOthers(instance) ? Explain(inRow, "and no other was asked") : null;
            }

            if ((areDifferent || context.Thrown.AreServedElsewhere(instance, first))
                && context.OthersServe(instance, first)
                && RefusalRow.Improbability(inRow, context.ErrorsOfOthers(instance)) >= (onProbation ? AgainCertainty : RefusalRow.Certainty))
            {
                return Explain(inRow, "and others serve");
            }
        }

        // One that answers well in between. With keys that says nothing: its other keys may be those that work.
        var share = _row.Rate;
        return !hasKey
            && share * 100 >= options.FailureRatePercent
            && context.Thrown.AreServedElsewhere(instance, first)
            && context.OthersServe(instance, first)
            && RefusalRow.ImprobabilityOf(share, context.ErrorsOfOthers(instance)) >= RefusalRow.Certainty
            ? $"{share:P0} of its last calls ended with an error (500, INTERNAL or UNKNOWN), and others serve"
            : null;
    }

    private static string Explain(int inRow, string others) => $"{inRow} errors in a row (500, INTERNAL or UNKNOWN), {others}";
}
