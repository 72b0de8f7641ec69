using System.Numerics;

namespace Discovery.AspNetCore.Instances;

/// <summary>
/// What an instance refused of late: answers such as 404, usual where what is asked for does not exist, and all that a stranger at its address has to
/// say. Tells whether chance can be the reason that there are so many. Lock-free.
/// </summary>
internal sealed class RefusalRow
{
    /// <summary>Fewer say nothing of the instance.</summary>
    public const int Least = 3;

    /// <summary>
    /// What -ln of a probability must be: if the instance were as the others are, so many refusals in a row would come less often than once
    /// in a million.
    /// </summary>
    public const double Certainty = 14;

    /// <summary>The same as a reason to give the instance fewer calls: once in some thousand.</summary>
    public const double Suspicion = 8;

    /// <summary>How much one answer moves the smoothed share: it looks back on about 20.</summary>
    private const double Smoothing = 0.05;

    private const double Negligible = 0.001;

    /// <summary>The least share of refusals that is taken for possible.</summary>
    private const double LeastRate = 0.05;

    private int _inRow;
    private long _firstAt;
    private ulong _keys;
    private double _rate;
    private int _strangeInRow;
    private ulong _strangeRequests;
    private double _rateBeforeStrange;

    /// <summary>Whether one of the latest answers was no refusal.</summary>
    public bool IsShort => Volatile.Read(ref _inRow) < Least;

    /// <summary>How many there are in a row.</summary>
    public int Count => Volatile.Read(ref _inRow);

    /// <summary>Of how many hash keys they are. Two keys may be taken for one.</summary>
    public int Keys => BitOperations.PopCount(Volatile.Read(ref _keys));

    /// <summary>To how many requests the answers were that <see cref="OnStrangeAnswerTo"/> has been told of. Two may be taken for one.</summary>
    public int Requests => BitOperations.PopCount(Volatile.Read(ref _strangeRequests));

    /// <summary>The share of refusals as it is smoothed, which begins at 0.</summary>
    public double Rate => Volatile.Read(ref _rate);

    /// <summary>Whether the latest answer was no refusal.</summary>
    public bool IsEmpty => Volatile.Read(ref _inRow) == 0;

    /// <summary>Whether nothing is left of a share of refusals.</summary>
    public bool IsForgotten => Volatile.Read(ref _rate) == 0;

    /// <summary>When the call began whose refusal is the first of the row.</summary>
    public long FirstAt => Volatile.Read(ref _firstAt);

    /// <summary>How improbable so many refusals in a row are, as -ln of the probability, if this share of all answers are refusals.</summary>
    public static double Improbability(int inRow, double rate) => inRow * -Math.Log(Math.Min(1, rate + LeastRate));

    /// <summary>The same for a share of refusals among about the last 20 answers.</summary>
    /// <param name="share">The share.</param>
    /// <param name="rate">The share of all answers that are refusals.</param>
    public static double ImprobabilityOf(double share, double rate)
    {
        // The divergence of the two shares: what so many draws of the one are worth as evidence against the other.
        var usual = rate + LeastRate;
        return share <= usual ? 0
            : ((share * Math.Log(share / usual)) + (share < 1 ? (1 - share) * Math.Log((1 - share) / (1 - usual)) : 0)) / Smoothing;
    }

    /// <summary>The bit that stands for a request or a key; two of them may share one.</summary>
    public static ulong BitOf(ulong hash) => 1UL << (int)(StableHash.Mix(hash) & 63);

    /// <summary>The share of refusals among about the last 20 answers, from 0 to 1.</summary>
    /// <param name="answers">How many there were: the first ones begin at no refusals, which must not count as so many answers.</param>
    public double RateOf(long answers) => Math.Min(1, Volatile.Read(ref _rate) / (1 - Math.Pow(1 - Smoothing, answers)));

    /// <summary>A call was refused.</summary>
    /// <param name="startedAt">When it began.</param>
    /// <returns>How many in a row.</returns>
    public int Add(long startedAt)
    {
        AddToRate();
        var inRow = Interlocked.Increment(ref _inRow);
        if (inRow == 1)
        {
            Volatile.Write(ref _firstAt, startedAt);
        }

        return inRow;
    }

    /// <summary>A refusal that makes no row of its own here.</summary>
    public void AddToRate() => _rate += Smoothing * (1 - _rate);

    /// <summary>The refusal is one that a stranger gives too.</summary>
    /// <param name="answersBefore">How many answers there were before.</param>
    public void OnStrange(long answersBefore)
    {
        if (Interlocked.Increment(ref _strangeInRow) == 1)
        {
            _rateBeforeStrange = answersBefore > 0 ? Math.Max(RateOf(answersBefore), 1.0 / (answersBefore + 1)) : 1;
        }
    }

    /// <summary>To which request the next answer is such as strangers give.</summary>
    public void OnStrangeAnswerTo(ulong request) => Interlocked.Or(ref _strangeRequests, BitOf(request));

    /// <summary>The answer is none that a stranger gives.</summary>
    public void EndStrange()
    {
        _strangeInRow = 0;
        _strangeRequests = 0;
    }

    /// <summary>
    /// Whether the latest answers are such as strangers give, and by what the instance answered before chance cannot be the reason. One caller may ask for the
    /// same again and again by a token that is no longer valid, so where there are no different requests it takes a long row.
    /// </summary>
    /// <param name="row">How many it takes of different requests.</param>
    /// <param name="longRow">How many else.</param>
    public bool LooksLikeStranger(int row, int longRow)
    {
        var areDifferent = BitOperations.PopCount(Volatile.Read(ref _strangeRequests)) >= Least;
        var inRow = Volatile.Read(ref _strangeInRow);
        return inRow >= (areDifferent ? row : longRow) && Improbability(inRow, _rateBeforeStrange) >= Certainty;
    }

    /// <summary>Whether the latest refusals were none of a call with this hash key. Two keys may be taken for one.</summary>
    public bool IsNew(string hashKey)
    {
        var bit = BitOf(StableHash.Of(hashKey));
        return (Interlocked.Or(ref _keys, bit) & bit) == 0;
    }

    /// <summary>The instance serves what it is asked for.</summary>
    public void End()
    {
        Restart();
        var rate = _rate * (1 - Smoothing);
        _rate = rate < Negligible ? 0 : rate;
    }

    /// <summary>The row begins anew; the share stays.</summary>
    public void Restart()
    {
        _inRow = 0;
        _keys = 0;
        EndStrange();
    }

    /// <summary>Keys are new again.</summary>
    public void ForgetKeys() => _keys = 0;
}
