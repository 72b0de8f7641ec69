using Discovery.Etcd.Auth;
using Discovery.Etcd.Connections;
using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>
/// A stream of a user's own stub, at one endpoint: holds its connection until the stream ended, read to its end or disposed, and learns from
/// how it ended.
/// </summary>
internal sealed class UserStream
{
    private readonly Failover _failover;
    private readonly EtcdEndpoint _endpoint;
    private readonly TokenSource _tokens;
    private readonly EtcdConnection _connection;
    private readonly CancellationToken _cancellationToken;
    private string? _token;
    private bool _isAnswered;
    private int _ended;

    public UserStream(Failover failover, TokenSource tokens, CallOptions options)
    {
        _failover = failover;
        _endpoint = failover.Pool.Choose([], CallKind.Stream);
        _tokens = tokens;
        _cancellationToken = options.CancellationToken;
        _connection = _endpoint.Streams.Rent();
        Options = CallHeaders.HasToken(options.Headers) ? options : options.WithCredentials(WithToken(options.Credentials));
    }

    /// <summary>Makes calls on the stream's connection.</summary>
    public CallInvoker Invoker => _connection.Invoker;

    /// <summary>The user's options, and our token.</summary>
    public CallOptions Options { get; }

    /// <summary>Looks at how a part of the call ends.</summary>
    /// <param name="part">The headers, or the only response.</param>
    /// <param name="isEnd">Whether nothing comes after it.</param>
    public void Observe(Task part, bool isEnd = false) => _ = ObserveAsync(part, isEnd);

    /// <summary>The responses, observed.</summary>
    public IAsyncStreamReader<T> Track<T>(IAsyncStreamReader<T> responses) => new Reader<T>(this, responses);

    public void Dispose(IDisposable call)
    {
        call.Dispose();
        End(null);
    }

    // Fetched when the call starts, which is when streams may wait for it.
    private CallCredentials WithToken(CallCredentials? others)
    {
        var ours = CallCredentials.FromInterceptor(async (context, headers) =>
        {
            _token = await _tokens.GetAsync(context.CancellationToken).ConfigureAwait(false);
            CallHeaders.AddToken(headers, _token);
        });
        return others is null ? ours : CallCredentials.Compose(ours, others);
    }

    private async Task ObserveAsync(Task part, bool isEnd)
    {
        try
        {
            await part.ConfigureAwait(false);
            if (isEnd)
            {
                End(null);
            }
        }
        catch (Exception e)
        {
            // Whoever reads the stream gets it too.
            End(e as RpcException);
        }
    }

    private void Answered()
    {
        if (!_isAnswered)
        {
            _isAnswered = true;
            _endpoint.StreamHealth.Succeeded();
        }
    }

    private void End(RpcException? error)
    {
        if (Interlocked.Exchange(ref _ended, 1) != 0)
        {
            return;
        }

        _endpoint.Streams.Return(_connection, CallOutcome.Unknown);
        if (error is null || _cancellationToken.IsCancellationRequested)
        {
            return;
        }

        var failure = CallFailedException.From(error);
        if (failure.WantsNewToken)
        {
            // The next stream takes a new one.
            _tokens.Invalidate(_token);
        }
        else if (failure.IsTransient)
        {
            _endpoint.StreamHealth.Failed();
            _failover.DialAnewIfOnlyAddress(_endpoint, CallKind.Stream, failure);
        }
    }

    private sealed class Reader<T>(UserStream stream, IAsyncStreamReader<T> responses) : IAsyncStreamReader<T>
    {
        public T Current => responses.Current;

        public async Task<bool> MoveNext(CancellationToken cancellationToken)
        {
            try
            {
                var isMore = await responses.MoveNext(cancellationToken).ConfigureAwait(false);
                if (isMore)
                {
                    stream.Answered();
                }
                else
                {
                    stream.End(null);
                }

                return isMore;
            }
            catch (RpcException e)
            {
                stream.End(cancellationToken.IsCancellationRequested ? null : e);
                throw;
            }
        }
    }
}
