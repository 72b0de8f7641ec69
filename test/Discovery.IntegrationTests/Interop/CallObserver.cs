using Grpc.Core;

namespace Discovery.IntegrationTests.Interop;

/// <summary>What the service saw of its last call, for a test to look at.</summary>
public sealed class CallObserver
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string? Method { get; private set; }

    public string? Host { get; private set; }

    public string? Peer { get; private set; }

    public DateTime Deadline { get; private set; }

    public Metadata RequestHeaders { get; private set; } = [];

    /// <summary>Whether the handler was cut short: its token was cancelled, or its stream of requests broke off.</summary>
    public bool Cancelled { get; private set; }

    public bool HasHttpContext { get; private set; }

    public bool Called => Method is not null;

    /// <summary>Completes when a waiting handler has ended, for whatever reason.</summary>
    public Task HandlerEndedAsync() => _ended.Task.WaitAsync(Failure.Limit);

    public void Record(ServerCallContext context)
    {
        Host = context.Host;
        Peer = context.Peer;
        Deadline = context.Deadline;
        RequestHeaders = context.RequestHeaders;
        HasHttpContext = context.GetHttpContext().Request.Path == context.Method;
        Method = context.Method;
    }

    /// <param name="context">The call.</param>
    /// <param name="broken">Whether reading failed: Kestrel fails reads and cancels the token in no certain order.</param>
    public void Ended(ServerCallContext context, bool broken = false)
    {
        Cancelled = broken || context.CancellationToken.IsCancellationRequested;
        _ended.TrySetResult();
    }
}
