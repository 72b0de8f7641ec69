using System.Net;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// A response's body that reports when it has ended: read to the end, failed, or given up. Only then is the call over for its instance,
/// and only then are the trailers there that tell how a gRPC call ended.
/// </summary>
internal class TrackedContent : HttpContent
{
    private readonly HttpContent _inner;
    private readonly HttpResponseMessage _response;
    private readonly TrackedCall _call;
    private readonly bool _isGrpc;
    private bool _hasData;
    private bool _isBuffered;
    private bool _disposed;

    /// <summary>Takes the place of a response's content.</summary>
    /// <param name="response">The response.</param>
    /// <param name="isGrpc">Whether its trailers tell how the call ended.</param>
    /// <param name="hasLength">Whether its headers tell the length of the body.</param>
    /// <param name="instance">The instance that was called.</param>
    /// <param name="call">The call.</param>
    /// <param name="outcome">The outcome as far as the headers tell.</param>
    public TrackedContent(HttpResponseMessage response, bool isGrpc, bool hasLength, InstanceState instance, CallProgress call, CallOutcome outcome)
    {
        _response = response;
        _inner = response.Content;
        _isGrpc = isGrpc;

        // Headers without a length tell that of their content once it is buffered, so they must be this one's own.
        MessageParts.SetHeaders(this, _inner, mayShare: isGrpc || hasLength);
        _call = TrackedCall.Begin(this, instance, call, outcome);
    }

    /// <summary>Whether nothing is to be read any longer.</summary>
    public bool IsDisposed => _disposed;

    /// <summary>All of the body is wanted at once.</summary>
    public void OnBuffered() => _isBuffered = true;

    /// <summary>A part of the body was read.</summary>
    public void OnData()
    {
        if (_isGrpc && _call.InstanceOf(this) is { } instance)
        {
            if (!_hasData && _response.RequestMessage is { } request)
            {
                // Headers of gRPC say nothing: a method that is not served may have them too.
                instance.Context.Refused.OnServed(request, instance);
            }

            if (instance.Context.Thrown.IsRemembering(instance))
            {
                // A stream that is served may have no end.
                OutcomeRules.OnGoesOn(_response.RequestMessage, instance, _call.StartedAt);
            }
        }

        _hasData = true;
    }

    /// <summary>The body was read to its end.</summary>
    public void OnCompleted()
    {
        // Where there are no trailers, to ask for them makes some.
        var outcome = _call.Outcome;
        if (_isGrpc && outcome == CallOutcome.Success)
        {
            var trailers = _response.TrailingHeaders;
            outcome = OutcomeRules.OfTrailers(trailers);
            if (_response.RequestMessage is { } request && _call.InstanceOf(this) is { } instance)
            {
                outcome = OutcomeRules.CompareEnd(outcome, request, instance, _call.StartedAt);
            }

            _call.End(this, outcome, trailers);
        }
        else
        {
            _call.End(this, outcome);
        }
    }

    /// <summary>Reading failed, or the caller gave up.</summary>
    /// <param name="exception">How reading failed.</param>
    /// <param name="token">What cancels it.</param>
    public void OnFailed(Exception exception, CancellationToken token)
    {
        if (_response.RequestMessage is { } request && _call.InstanceOf(this) is { } instance)
        {
            // A handler above may read the body as a part of its attempt, and make another.
            TriedInstances.Of(request)?.Avoid(instance);
        }

        if (exception is OperationCanceledException)
        {
            _call.GiveUp(this, CallOutcome.Cancelled, RequestInVain, token);
        }
        else
        {
            _call.End(this, RequestBodies.HasFailed(exception, _response) ? CallOutcome.Cancelled : OutcomeRules.Of(exception));
        }
    }

    /// <summary>The caller had enough before the end, which says nothing against the instance, unless his deadline passed.</summary>
    public void OnGivenUp() => _call.GiveUp(this, CallOutcome.Success, _isGrpc ? RequestInVain : null, CancellationToken.None);

    /// <summary>
    /// The request, if it waits for an answer that has an end: not a gRPC call that got messages, which may be a stream of them, nor one whose
    /// body its caller reads for as long as he likes.
    /// </summary>
    private HttpRequestMessage? RequestInVain => (_isGrpc ? !_hasData : _isBuffered) ? _response.RequestMessage : null;

    // Copied by reads of the tracked stream, which tell a body that breaks off from a target that cannot be written to.
    protected override void SerializeToStream(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        using var body = CreateContentReadStream(cancellationToken);
        body.CopyTo(stream);
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var body = CreateContentReadStream(cancellationToken);
        await using (body.ConfigureAwait(false))
        {
            await body.CopyToAsync(stream, cancellationToken).ConfigureAwait(false);
        }
    }

    protected override Stream CreateContentReadStream(CancellationToken cancellationToken)
        => new TrackedStream(this, _inner.ReadAsStream(cancellationToken));

    // The body of a response that was just received is at hand as a stream, and a task of its own would be for nothing.
    protected override Task<Stream> CreateContentReadStreamAsync() => Task.FromResult(CreateContentReadStream(CancellationToken.None));

    protected override bool TryComputeLength(out long length)
    {
        length = _inner.Headers.ContentLength ?? 0;
        return _inner.Headers.ContentLength is not null;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            // First, for a read that is under way now fails because of this and not because of the instance.
            OnGivenUp();
            _disposed = true;
            _inner.Dispose();
        }

        base.Dispose(disposing);
    }
}
