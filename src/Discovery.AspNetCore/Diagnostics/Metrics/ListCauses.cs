namespace Discovery.AspNetCore.Diagnostics.Metrics;

/// <summary>Why a service is listed: values of the tag <c>discovery.list.cause</c>.</summary>
internal static class ListCauses
{
    /// <summary>The first list.</summary>
    public const string Start = "start";

    /// <summary>The first list, from one member alone, because the cluster did not answer.</summary>
    public const string StartWithoutQuorum = "start_without_quorum";

    /// <summary>Events were lost, or the last list was not answered.</summary>
    public const string EventsLost = "events_lost";

    /// <summary>From time to time beside an open watch.</summary>
    public const string Check = "check";

    /// <summary>Every few seconds, for the watch cannot be opened.</summary>
    public const string InsteadOfWatch = "instead_of_watch";
}
