namespace Discovery.AspNetCore.Watching;

/// <summary>What a step of a <see cref="ListCheck"/> found.</summary>
internal enum ListCheckResult
{
    /// <summary>Nothing yet.</summary>
    None,

    /// <summary>The list says what the watch said.</summary>
    Confirmed,

    /// <summary>
    /// An event was lost, or a backup was restored and events of the history before still wait to be read. These cannot be told apart, and a
    /// list must not be mixed with events of another history, so list and watch begin anew.
    /// </summary>
    Differs,

    /// <summary>There is no watch, and the list is to be taken as it is.</summary>
    Listed,

    /// <summary>The list failed. That is no reason to end the watch; the next try is soon.</summary>
    Failed,
}
