namespace Discovery.AspNetCore.Layouts;

/// <summary>What a service may be called. Names are exact, case-sensitive, and may hold what a host name cannot.</summary>
internal static class ServiceNames
{
    /// <summary>Why a name cannot be used, or <see langword="null"/> when it can.</summary>
    public static string? GetProblem(string? name)
    {
        if (string.IsNullOrWhiteSpace(name))
        {
            return "a service needs a name, e.g. greeter";
        }

        // With a slash, one service's prefix would cover another's keys: a/ those of a/b.
        if (name.Contains('/', StringComparison.Ordinal))
        {
            return $"'{ForeignText.HideUser(name)}' is no service name: it has a slash; a hierarchy belongs into the layout's root, e.g. EtcdNaming:shop/";
        }

        return name.Any(static c => char.IsControl(c) || char.IsWhiteSpace(c))
            ? $"'{ForeignText.HideUser(name)}' is no service name: it has white space or control characters; valid is e.g. helloworld.Greeter"
            : null;
    }

    /// <summary>The name in a key <c>root/name/…</c>, or <see langword="null"/> where there is none that may be one.</summary>
    public static string? FindInKey(string? root, string key)
    {
        if (root is null || !key.StartsWith(root, StringComparison.Ordinal))
        {
            return null;
        }

        var end = key.IndexOf('/', root.Length);
        var name = end < 0 ? null : key[root.Length..end];
        return GetProblem(name) is null ? name : null;
    }
}
