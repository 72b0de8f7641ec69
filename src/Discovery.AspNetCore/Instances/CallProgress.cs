namespace Discovery.AspNetCore.Instances;

/// <summary>How far a call to an instance has come; handed from one of the instance's call-backs to the next.</summary>
/// <param name="StartedAt">When it was sent, as a timestamp of the clock.</param>
/// <param name="HasHeaders">Whether response headers came that say nothing of a failure.</param>
internal readonly record struct CallProgress(long StartedAt, bool HasHeaders);
