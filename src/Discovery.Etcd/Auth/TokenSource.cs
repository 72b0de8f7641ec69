using Discovery.Etcd.Protocol;

namespace Discovery.Etcd.Auth;

/// <summary>
/// The auth token of a client: fetched once for all callers, and again after it was found invalid. A refusal is remembered for a
/// moment, for checking a password costs etcd much and callers come in crowds.
/// </summary>
internal sealed class TokenSource(
    EtcdClientOptions options, Func<AuthenticateRequest, CancellationToken, Task<AuthenticateResponse>> authenticateAsync, TimeProvider time)
{
    private static readonly TimeSpan RefusalMemory = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private Task<string?>? _fetch;
    private long _fetchedAt;

    /// <summary>Whether a user is configured.</summary>
    public bool IsEnabled => !string.IsNullOrEmpty(options.Username);

    /// <summary>Raised when a token was found invalid: streams that were opened with it are to be opened again.</summary>
    public event Action? Invalidated;

    /// <summary>The token, if it is known.</summary>
    /// <param name="token">The token; <see langword="null"/> where none is needed.</param>
    /// <returns>Whether it is known; if not, <see cref="GetAsync"/> waits for it.</returns>
    public bool TryGet(out string? token)
    {
        token = null;
        if (!IsEnabled)
        {
            return true;
        }

        lock (_gate)
        {
            if (_fetch is not { IsCompletedSuccessfully: true })
            {
                return false;
            }

            token = _fetch.Result;
            return true;
        }
    }

    /// <summary>The token, or <see langword="null"/> where none is needed.</summary>
    public Task<string?> GetAsync(CancellationToken cancellationToken)
    {
        if (!IsEnabled)
        {
            return Task.FromResult<string?>(null);
        }

        lock (_gate)
        {
            if (_fetch is null || (_fetch is { IsCompleted: true, IsCompletedSuccessfully: false } && time.GetElapsedTime(_fetchedAt) >= RefusalMemory))
            {
                _fetchedAt = time.GetTimestamp();

                // On its own, so that no caller's cancellation ends what others wait for.
                _fetch = Task.Run(FetchAsync, CancellationToken.None);
            }

            return _fetch.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Whether a token was sent that is not the one that is sent now.</summary>
    public bool IsForgotten(string? token)
    {
        lock (_gate)
        {
            return token is not null && !(_fetch is { IsCompletedSuccessfully: true } && _fetch.Result == token);
        }
    }

    /// <summary>Forgets a token that etcd refused. Another one that was fetched meanwhile stays.</summary>
    public void Invalidate(string? token)
    {
        lock (_gate)
        {
            if (_fetch is not { IsCompletedSuccessfully: true } || _fetch.Result != token)
            {
                return;
            }

            _fetch = null;
        }

        Invalidated?.Invoke();
    }

    private async Task<string?> FetchAsync()
    {
        try
        {
            var request = new AuthenticateRequest { Name = options.Username, Password = options.Password ?? "" };
            var response = await authenticateAsync(request, CancellationToken.None).ConfigureAwait(false);
            _fetchedAt = time.GetTimestamp();
            return response.Token;
        }
        catch (EtcdException e) when (e.Reason == EtcdErrorReason.AuthenticationNotEnabled)
        {
            // A user is configured before the cluster asks for one; once it does, its refusals bring us back here.
            return null;
        }
        catch
        {
            _fetchedAt = time.GetTimestamp();
            throw;
        }
    }
}
