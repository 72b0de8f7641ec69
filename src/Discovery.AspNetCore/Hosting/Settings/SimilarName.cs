namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>Finds the name that a mistyped one was meant to be.</summary>
internal static class SimilarName
{
    /// <summary>The nearest of the names, or null when none is near.</summary>
    public static string? Find(string name, IEnumerable<string> names)
        => names.Select(n => (Name: n, Distance: Distance(name, n)))
            .Where(c => c.Distance <= Math.Max(1, Math.Max(name.Length, c.Name.Length) / 3))
            .OrderBy(static c => c.Distance)
            .Select(static c => c.Name)
            .FirstOrDefault();

    /// <summary>The only one of the names that has this one as a part (Host: AdvertisedHost) or as its initials (Ttl: TimeToLive), or null.</summary>
    public static string? FindLonger(string name, IEnumerable<string> names)
    {
        var longer = names.Where(n => HasPart(n, name) || string.Concat(n.Where(char.IsUpper)).Equals(name, StringComparison.OrdinalIgnoreCase)).Take(2).ToList();
        return longer.Count == 1 ? longer[0] : null;
    }

    // Where a word of it begins, as name is no part of Username.
    private static bool HasPart(string name, string part)
        => part.Length > 2 && Enumerable.Range(0, name.Length).Any(
            i => char.IsUpper(name[i]) && name.AsSpan(i).StartsWith(part, StringComparison.OrdinalIgnoreCase));

    /// <summary>How many letters must be inserted, removed, replaced or swapped with their neighbour; case does not count.</summary>
    private static int Distance(string one, string other)
    {
        var cost = new int[one.Length + 1, other.Length + 1];
        for (var i = 0; i <= one.Length; i++)
        {
            for (var j = 0; j <= other.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    cost[i, j] = i + j;
                    continue;
                }

                var differs = AreSame(one[i - 1], other[j - 1]) ? 0 : 1;
                cost[i, j] = Math.Min(Math.Min(cost[i - 1, j], cost[i, j - 1]) + 1, cost[i - 1, j - 1] + differs);
                if (i > 1 && j > 1 && AreSame(one[i - 1], other[j - 2]) && AreSame(one[i - 2], other[j - 1]))
                {
                    cost[i, j] = Math.Min(cost[i, j], cost[i - 2, j - 2] + 1);
                }
            }
        }

        return cost[one.Length, other.Length];
    }

    private static bool AreSame(char one, char other) => char.ToUpperInvariant(one) == char.ToUpperInvariant(other);
}
