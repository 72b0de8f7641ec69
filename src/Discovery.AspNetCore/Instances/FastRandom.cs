using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Discovery.AspNetCore.Instances;

/// <summary>Random numbers for picks: one multiplication on a state per thread, which the simulator can seed. Not for secrets.</summary>
internal static class FastRandom
{
    private const ulong Step = 0x9E3779B97F4A7C15;
    private const ulong Mix = 0xE7037ED1A0B428DB;

    [ThreadStatic]
    private static ulong _state;

    /// <summary>Makes this thread's numbers repeatable.</summary>
    public static void Seed(ulong seed) => _state = StableHash.Mix(seed) | 1;

    public static ulong Next()
    {
        var state = _state;
        if (state == 0)
        {
            state = FirstState();
        }

        _state = state += Step;
        var high = Math.BigMul(state, state ^ Mix, out ulong low);
        return high ^ low;
    }

    /// <summary>A number from 0 up to, not including, <paramref name="count"/>.</summary>
    public static int Below(int count) => Scale((uint)Next(), count);

    /// <summary>A number from 0 up to, not including, 1.</summary>
    public static double Fraction() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Spreads 32 random bits over 0 up to, not including, <paramref name="count"/> without a division.</summary>
    public static int Scale(uint bits, int count) => (int)((bits * (ulong)count) >> 32);

    /// <summary>Differs between threads and processes, or those that start together would pick alike.</summary>
    private static ulong FirstState()
    {
        ulong state = 0;
        RandomNumberGenerator.Fill(MemoryMarshal.AsBytes(new Span<ulong>(ref state)));
        return state | 1;
    }
}
