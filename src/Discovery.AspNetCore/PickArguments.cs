namespace Discovery.AspNetCore;

/// <summary>What is known of a call when its instance is chosen.</summary>
public readonly record struct PickArguments
{
    /// <summary>The value of the call's <c>discovery-hash-key</c> metadata. Default: <see langword="null"/>.</summary>
    public string? HashKey { get; init; }

    /// <summary>0 for the first choice, 1 after one of the instances to choose from was tried in vain, and so on. Default: 0.</summary>
    public int Attempt { get; init; }
}
