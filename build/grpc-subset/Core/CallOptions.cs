namespace Grpc.Core;

/// <summary>What applies to one call.</summary>
public struct CallOptions
{
    /// <summary>Creates the options.</summary>
    /// <param name="headers">Request headers.</param>
    /// <param name="deadline">The latest time for the call to end, in UTC; null is none.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    public CallOptions(Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default)
    {
        Headers = headers;
        Deadline = deadline;
        CancellationToken = cancellationToken;
    }

    /// <summary>Request headers.</summary>
    public Metadata? Headers { get; private set; }

    /// <summary>The latest time for the call to end, in UTC; null is none.</summary>
    public DateTime? Deadline { get; private set; }

    /// <summary>Cancels the call.</summary>
    public CancellationToken CancellationToken { get; private set; }

    /// <summary>A copy with these headers.</summary>
    public readonly CallOptions WithHeaders(Metadata headers) => this with { Headers = headers };

    /// <summary>A copy with this deadline.</summary>
    public readonly CallOptions WithDeadline(DateTime deadline) => this with { Deadline = deadline };
}
