namespace Discovery.AspNetCore.Instances;

/// <summary>A 64-bit hash that is the same in every process and version, so that all clients of a service agree on it.</summary>
internal static class StableHash
{
    // FNV-1a over UTF-16 code units; its weak high bits are repaired by the finisher.
    private const ulong OffsetBasis = 14695981039346656037;
    private const ulong Prime = 1099511628211;

    public static ulong Of(ReadOnlySpan<char> text)
    {
        var hash = OffsetBasis;
        foreach (var c in text)
        {
            hash = (hash ^ c) * Prime;
        }

        return Mix(hash);
    }

    /// <summary>The finisher of SplitMix64: every bit of the input moves every bit of the result.</summary>
    public static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }
}
