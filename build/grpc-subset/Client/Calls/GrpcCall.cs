using Grpc.Core;
using Grpc.Net.Client.Requests;
using Grpc.Net.Client.Responses;
using Grpc.Protocol;

namespace Grpc.Net.Client.Calls;

/// <summary>The life of one call: started, perhaps cancelled, ended with one status; the first status wins.</summary>
internal abstract partial class GrpcCall : IDisposable
{
    private readonly CancellationTokenSource _cancellation = new();
    private readonly TaskCompletionSource<Status> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<HttpResponseMessage> _responseSource = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly IMethod _method;
    private readonly CallOptions _options;
    private readonly TimeSpan? _timeout;
    private CancellationTokenRegistration _callerCancellation;
    private DeadlineTimer? _deadline;
    private HttpResponseMessage? _response;
    private Metadata? _trailers;
    private Task<Metadata>? _responseHeaders;

    protected GrpcCall(GrpcChannel channel, IMethod method, CallOptions options)
    {
        Channel = channel;
        _method = method;
        _options = options;
        _timeout = GetTimeout(options.Deadline);
        channel.Add(this);
    }

    public GrpcChannel Channel { get; }

    /// <summary>Completes with the status of the call.</summary>
    public Task<Status> Completion => _completion.Task;

    /// <summary>Cancelled with the call.</summary>
    public CancellationToken CancellationToken => _cancellation.Token;

    /// <summary>Whether the response was read to its end, so that its trailers are there.</summary>
    public bool ResponseFinished { get; private set; }

    public bool Disposed { get; private set; }

    public Task<Metadata> ResponseHeadersAsync => _responseHeaders ??= GetResponseHeadersAsync();

    /// <summary>The body of the requests, where there are many.</summary>
    protected MessageStreamContent? RequestStream { get; set; }

    public Status GetStatus()
        => Completion.IsCompletedSuccessfully
            ? Completion.Result
            : throw new InvalidOperationException("Unable to get the status because the call is not complete.");

    public Metadata GetTrailers()
        => FindTrailers() ?? throw new InvalidOperationException("Can't get the call trailers because the call has not completed successfully.");

    public void Dispose()
    {
        Disposed = true;
        Close(new Status(StatusCode.Cancelled, "gRPC call disposed."));
    }

    /// <summary>Lets a token cancel the call; for a token that belongs to one read or write.</summary>
    public CancellationTokenRegistration CancelWith(CancellationToken cancellationToken)
        => cancellationToken == _options.CancellationToken
            ? default
            : cancellationToken.UnsafeRegister(static (call, token) => ((GrpcCall)call!).CancelByCaller(token), this);

    /// <summary>Says that the stream of responses has ended.</summary>
    /// <param name="status">How.</param>
    /// <param name="atItsEnd">Whether it was read to its end.</param>
    public void EndResponses(Status status, bool atItsEnd)
    {
        ResponseFinished |= atItsEnd;
        _completion.TrySetResult(status);
    }

    /// <summary>Sends the request and gets the response as far as its headers.</summary>
    protected async Task<HttpResponseMessage> SendAsync(HttpContent content)
    {
        var request = RequestHead.Create(Channel.UriOf(_method), _options.Headers, _timeout);
        request.Content = content;
        Log.Starting(Channel.Logger, request.RequestUri);
        StartClocks();
        CancellationToken.ThrowIfCancellationRequested();
        _response = Channel.Invoker is HttpClient client
            ? await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, CancellationToken)
            : await Channel.Invoker.SendAsync(request, CancellationToken);
        _responseSource.TrySetResult(_response);
        return _response;
    }

    /// <summary>Gets the status of a response that holds no messages, or null.</summary>
    protected Status? GetEarlyStatus(HttpResponseMessage response)
    {
        var status = ResponseHead.GetEarlyStatus(response, out var trailers);
        _trailers = trailers;
        return status;
    }

    /// <summary>Ends the call after its response was read to the end.</summary>
    protected void Finish(Status status)
    {
        ResponseFinished = true;
        Close(status);
    }

    /// <summary>Ends the call; cancels what still runs of it.</summary>
    protected void Close(Status status)
    {
        if (ResponseFinished)
        {
            _completion.TrySetResult(status);
            StopStreams();
        }
        else
        {
            Cancel(status);
        }

        Channel.Remove(this);
        _callerCancellation.Dispose();
        _deadline?.Dispose();

        // Resets the stream if the response is not at its end: once its headers are there, no token does.
        _response?.Dispose();
    }

    /// <summary>Releases who waits for a stream that will not come.</summary>
    protected virtual void StopStreams() => RequestStream?.Cancel();

    private static TimeSpan? GetTimeout(DateTime? deadline)
    {
        if (deadline is not { } time || time == DateTime.MaxValue)
        {
            return null;
        }

        if (time.Kind != DateTimeKind.Utc && time != DateTime.MinValue)
        {
            throw new InvalidOperationException("Deadline must have a kind DateTimeKind.Utc or be equal to DateTime.MaxValue or DateTime.MinValue.");
        }

        var timeout = time - TimeProvider.System.GetUtcNow().UtcDateTime;
        return timeout < GrpcTimeout.Max ? timeout : GrpcTimeout.Max;
    }

    private void StartClocks()
    {
        if (_timeout <= TimeSpan.Zero)
        {
            Cancel(new Status(StatusCode.DeadlineExceeded, ""));
        }
        else if (_timeout is not null)
        {
            _deadline = new DeadlineTimer(_options.Deadline!.Value, () => Cancel(new Status(StatusCode.DeadlineExceeded, "")));
        }

        _callerCancellation = _options.CancellationToken.UnsafeRegister(
            static (call, token) => ((GrpcCall)call!).CancelByCaller(token), this);
    }

    private void CancelByCaller(CancellationToken token)
        => Cancel(new Status(StatusCode.Cancelled, "Call canceled by the client.", new OperationCanceledException(token)));

    private void Cancel(Status status)
    {
        // The status first: whoever wakes up by the cancellation asks for it.
        _completion.TrySetResult(status);
        if (!_cancellation.IsCancellationRequested)
        {
            _cancellation.Cancel();
            StopStreams();
        }
    }

    private Metadata? FindTrailers()
        => _trailers ??= ResponseFinished && _response is not null ? ResponseHead.ToMetadata(_response.TrailingHeaders) : null;
}
