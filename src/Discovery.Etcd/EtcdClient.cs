using System.Diagnostics.Metrics;
using Discovery.Etcd.Auth;
using Discovery.Etcd.Calls;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Diagnostics;
using Discovery.Etcd.Following;
using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Leasing;
using Discovery.Etcd.Protocol;
using Discovery.Etcd.Tls;
using Discovery.Etcd.Watching;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Etcd;

/// <summary>
/// A client of one etcd cluster: thread-safe, meant to be shared and to live as long as the process. Operations are tried at one
/// endpoint after another until the total time limit; all of them are safe to be sent twice. Failures are <see cref="EtcdException"/>.
/// </summary>
public sealed partial class EtcdClient : IAsyncDisposable, IDisposable
{
    private readonly CancellationTokenSource _shutdown = new();
    private int _disposed;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly EtcdMetrics _metrics;
    private readonly EndpointPool _pool;
    private readonly Failover _failover;
    private readonly TokenSource _tokens;
    private readonly KeyValueClient _keyValues;
    private readonly PagedList _lists;
    private readonly LeaseRequests _leases;
    private readonly WatchMultiplexer _watches;
    private readonly LeaseKeepers _keepers = new();

    /// <summary>Creates a client. Nothing is dialled before the first operation.</summary>
    /// <param name="options">How to reach the cluster.</param>
    /// <param name="loggerFactory">Where to log; default: nowhere.</param>
    /// <param name="timeProvider">The clock; default: the system's.</param>
    /// <param name="meterFactory">Where metrics go; default: a meter <c>Discovery.Etcd</c> of this client.</param>
    /// <param name="clusterName">What metrics call the cluster (<c>discovery.cluster</c>) where there are several; default: nothing.</param>
    /// <param name="section">The section that messages call the settings by, e.g. <c>Etcd:Clusters:dc2</c>; default: <c>Etcd</c>.</param>
    /// <exception cref="ArgumentException">An option is wrong; the message names it, its value and a valid one.</exception>
    public EtcdClient(
        EtcdClientOptions options,
        ILoggerFactory? loggerFactory = null,
        TimeProvider? timeProvider = null,
        IMeterFactory? meterFactory = null,
        string? clusterName = null,
        string section = EtcdClientOptions.DefaultSection)
    {
        var failures = options.Validate(section);
        if (failures.Count > 0)
        {
            throw new ArgumentException(string.Join(' ', failures), nameof(options));
        }

        _time = timeProvider ?? TimeProvider.System;
        _loggers = new GuardedLoggerFactory(loggerFactory ?? NullLoggerFactory.Instance);
        Endpoints = options.ParseEndpoints([], section);
        var logger = _loggers.CreateLogger<EtcdClient>();
        if (Endpoints.FirstOrDefault(static e => e.Scheme == Uri.UriSchemeHttp) is { } insecure)
        {
            if (!string.IsNullOrEmpty(options.Password))
            {
                Log.PasswordInClear(logger, section, insecure);
            }

            if (options.Tls.IsSetUp)
            {
                Log.TlsUnused(logger, section, insecure);
            }
        }

        _metrics = new EtcdMetrics(meterFactory, clusterName);
        var connections = new ConnectionFactory(
            options, new TlsFiles(options.Tls, logger, section), new Dialer(HostResolver.Default, _time), _metrics);
        _pool = new EndpointPool(Endpoints.Select(e => new EtcdEndpoint(e, kind => connections.Connect(e, kind), _time)), _time);
        var cluster = new ClusterIdentity(_pool, _time, logger, section);
        var errors = new EtcdErrors(options, section);
        _failover = new Failover(options, _pool, cluster, _time, logger, _shutdown.Token, _metrics, errors);
        var auth = new Protocol.Auth.AuthClient(new EtcdCallInvoker(_failover, tokens: null));
        _tokens = new TokenSource(options, async (request, token) => await auth.AuthenticateAsync(request, cancellationToken: token).ConfigureAwait(false), _time);
        var invoker = new EtcdCallInvoker(_failover, _tokens);
        var keyValues = new KV.KVClient(invoker);
        var latest = new LatestRevision();
        _keyValues = new KeyValueClient(keyValues, latest);
        _lists = new PagedList(keyValues, latest, _time, section);
        _leases = new LeaseRequests(new Lease.LeaseClient(invoker), _failover, _tokens);
        Outage = new EtcdOutage(_time);
        _watches = new WatchMultiplexer(
            new WatchConnector(options, errors, _pool, cluster, _tokens, latest, keyValues), Outage, _metrics, _time, _loggers.CreateLogger<EtcdWatch>(), _shutdown.Token);
    }

    /// <summary>The endpoints as configured, normalized.</summary>
    public IReadOnlyList<Uri> Endpoints { get; }

    /// <summary>What is to be logged of an outage by whoever uses this client, so that it is one warning and one line when it is over.</summary>
    public EtcdOutage Outage { get; }

    /// <summary>How the endpoints stand, as this client knows it from its own calls; asks none of them. In the order of <see cref="Endpoints"/>.</summary>
    public IReadOnlyList<EtcdEndpointStatus> GetEndpointStatus() => _pool.GetStatus(Endpoints);

    /// <summary>Reads one key, linearizable.</summary>
    /// <returns>The record, or <see langword="null"/>.</returns>
    public Task<EtcdKeyValue?> GetAsync(string key, CancellationToken cancellationToken = default) => _keyValues.GetAsync(key, cancellationToken);

    /// <summary>Lists all keys with a prefix, in pages read at one revision. <see cref="EtcdClientOptions.RequestTimeout"/> holds for each page.</summary>
    public Task<EtcdListing> ListAsync(
        string prefix, EtcdReadConsistency consistency = EtcdReadConsistency.Linearizable, CancellationToken cancellationToken = default) =>
        _lists.ReadAsync(KeyRange.Prefix(prefix), consistency == EtcdReadConsistency.Serializable, onPage: null, cancellationToken);

    /// <summary>
    /// Lists as <see cref="ListAsync"/> does, and hands over each page of a long list but the last one while the next one is on its way, so that
    /// the time of waiting can be used.
    /// </summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="onPage">
    /// Learns the pages, in order and one at a time; must be quick. A list that has to start over hands over all anew: what counts is the list
    /// that is returned, which has the same objects.
    /// </param>
    /// <param name="consistency">What the read may cost and promise.</param>
    /// <param name="cancellationToken">Cancels the operation.</param>
    public Task<EtcdListing> ListInPagesAsync(
        string prefix,
        Action<IReadOnlyList<EtcdKeyValue>> onPage,
        EtcdReadConsistency consistency = EtcdReadConsistency.Linearizable,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(onPage);
        return _lists.ReadAsync(KeyRange.Prefix(prefix), consistency == EtcdReadConsistency.Serializable, onPage, cancellationToken);
    }

    /// <summary>
    /// Lists the keys of several prefixes in one request, where asking for each would take longer: a transaction of reads, which all see one
    /// revision. What is beyond the first 10,000 keys in all, shared out evenly, follows in pages, for several prefixes at a time.
    /// </summary>
    /// <param name="prefixes">The prefixes; etcd takes 128 unless it runs with <c>--max-txn-ops</c>. It refuses all where it would refuse one.</param>
    /// <param name="consistency">What the read may cost and promise.</param>
    /// <param name="cancellationToken">Cancels the operation.</param>
    /// <returns>The lists, in the order of the prefixes; each says its revision, which is another one for a list that had to start over.</returns>
    public Task<IReadOnlyList<EtcdListing>> ListManyAsync(
        IReadOnlyList<string> prefixes, EtcdReadConsistency consistency = EtcdReadConsistency.Linearizable, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prefixes);
        return _lists.ReadTogetherAsync([.. prefixes.Select(KeyRange.Prefix)], consistency == EtcdReadConsistency.Serializable, cancellationToken);
    }

    /// <summary>Puts one key.</summary>
    /// <remarks>
    /// A put that is not answered in time is sent again elsewhere, and a member that hung may carry out the first one late: after a later put of
    /// the same key, also one of this client. Where the last value must stand, use <see cref="ExecuteAsync"/> with a comparison of the revision.
    /// </remarks>
    /// <returns>The cluster's revision after it.</returns>
    public Task<long> PutAsync(string key, ReadOnlyMemory<byte> value, long leaseId = 0, CancellationToken cancellationToken = default) =>
        _keyValues.PutAsync(key, value, leaseId, cancellationToken);

    /// <summary>Deletes one key.</summary>
    /// <returns>Whether this call deleted it; <see langword="false"/> too when a repeated attempt found it gone.</returns>
    public Task<bool> DeleteAsync(string key, CancellationToken cancellationToken = default) => _keyValues.DeleteAsync(key, cancellationToken);

    /// <summary>Runs a transaction.</summary>
    /// <remarks>
    /// A transaction that is not answered in time is sent again elsewhere, and may have been carried out already: the answer may then say that its
    /// comparisons failed, because of what it wrote itself. Where that matters, have it read the key where they fail, and look whether its own value
    /// stands there.
    /// </remarks>
    public Task<EtcdTransactionResult> ExecuteAsync(EtcdTransaction transaction, CancellationToken cancellationToken = default) =>
        _keyValues.ExecuteAsync(transaction, cancellationToken);

    /// <summary>Asks for a lease.</summary>
    /// <param name="timeToLive">The time to live, in whole seconds; etcd grants at least about 2 s.</param>
    /// <param name="cancellationToken">Cancels the operation.</param>
    /// <exception cref="ArgumentOutOfRangeException">The time to live is not positive.</exception>
    public Task<EtcdLease> GrantLeaseAsync(TimeSpan timeToLive, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeToLive, TimeSpan.Zero);
        return _leases.GrantAsync(timeToLive, cancellationToken);
    }

    /// <summary>Renews a lease once. For a lease that is to be held, see <see cref="KeepLease"/>.</summary>
    /// <returns>The lease with its renewed time to live, or <see langword="null"/> when it is gone.</returns>
    public Task<EtcdLease?> RenewLeaseAsync(long leaseId, CancellationToken cancellationToken = default) => _leases.RenewAsync(leaseId, cancellationToken);

    /// <summary>Revokes a lease; its keys are deleted with it. A lease that is gone already is no error.</summary>
    public Task RevokeLeaseAsync(long leaseId, CancellationToken cancellationToken = default) => _leases.RevokeAsync(leaseId, cancellationToken);

    /// <summary>Creates a keeper: one lease, held for as long as there are keys on it.</summary>
    /// <param name="timeToLive">The time to live to ask for, in whole seconds.</param>
    /// <exception cref="ArgumentOutOfRangeException">The time to live is not positive.</exception>
    public EtcdLeaseKeeper KeepLease(TimeSpan timeToLive)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeToLive, TimeSpan.Zero);
        ObjectDisposedException.ThrowIf(_shutdown.IsCancellationRequested, this);
        return _keepers.Add(new EtcdLeaseKeeper(timeToLive, _leases, _keyValues, _watches, Outage, _time, _loggers.CreateLogger<EtcdLeaseKeeper>()));
    }

    /// <summary>Watches a prefix. All watches of a client share one stream.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="startRevision">The first revision of interest: that of a list, plus one; 0 for "from now".</param>
    /// <param name="clusterId">The cluster that gave the list; 0 when there was none.</param>
    public EtcdWatch Watch(string prefix, long startRevision, ulong clusterId = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(startRevision);
        return _watches.Add(prefix, KeyRange.Prefix(prefix), startRevision, clusterId);
    }

    /// <summary>Watches one key or a range. All watches of a client share one stream.</summary>
    /// <param name="options">What to watch.</param>
    /// <exception cref="ArgumentOutOfRangeException">The start revision is negative.</exception>
    public EtcdWatch Watch(EtcdWatchOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfNegative(options.StartRevision);
        return _watches.Add(WatchTarget.From(options), options.StartRevision, options.ClusterId);
    }

    /// <summary>
    /// Follows all keys with a prefix: the whole state first, then again after each change, whatever happens to etcd meanwhile. Lists and
    /// watches, and lists again after compactions and restores.
    /// </summary>
    /// <remarks>
    /// <para>
    /// Each snapshot is the state at one revision, so a transaction is seen whole. The enumeration gives the newest one: whoever reads slowly
    /// skips those in between, and nothing piles up. A list that brings nothing new is not given.
    /// </para>
    /// <para>
    /// While etcd is away, at the start or later, it waits and tries for ever, with pauses up to 5 s; <see cref="EtcdFollowOptions.OnStatusChanged"/>
    /// tells why. While watches cannot be opened but lists are answered, it lists every few seconds. It ends when it is cancelled, when its
    /// enumerator is disposed, or with the client.
    /// </para>
    /// </remarks>
    /// <param name="prefix">The prefix; empty for all keys.</param>
    /// <param name="options">How to follow; default: as <see cref="EtcdFollowOptions"/> says.</param>
    /// <param name="cancellationToken">Ends the enumeration.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is wrong; the message names it.</exception>
    /// <exception cref="ObjectDisposedException">The client was disposed.</exception>
    /// <exception cref="OperationCanceledException">The enumeration was cancelled.</exception>
    public IAsyncEnumerable<EtcdPrefixSnapshot> FollowAsync(
        string prefix, EtcdFollowOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        ObjectDisposedException.ThrowIf(_shutdown.IsCancellationRequested, this);
        options ??= new EtcdFollowOptions();
        options.Validate();
        return PrefixFollower.FollowAsync(this, prefix, options, _time, cancellationToken);
    }

    /// <inheritdoc cref="Failover.TellEarlyAsync"/>
    internal Task TellEarlyAsync(Task list, EtcdException? told, Action<EtcdException> tell, CancellationToken cancellationToken) =>
        _failover.TellEarlyAsync(list, nameof(KV.KVClient.Range), told, tell, cancellationToken);

    /// <summary>Asks one endpoint, the first that answers, for its state.</summary>
    public async Task<EtcdMemberStatus> GetStatusAsync(CancellationToken cancellationToken = default)
    {
        var (status, endpoint) = await _failover.RunAsync(
            new Operation { Name = nameof(Maintenance.MaintenanceClient.Status), Tokens = _tokens },
            async attempt => (await new Maintenance.MaintenanceClient(new AttemptInvoker(attempt)).StatusAsync(new StatusRequest()).ConfigureAwait(false), attempt.Endpoint),
            cancellationToken).ConfigureAwait(false);
        var header = status.Header ?? new ResponseHeader();
        return new EtcdMemberStatus
        {
            Endpoint = endpoint.Address,
            Version = status.Version,
            ClusterId = header.ClusterId,
            MemberId = header.MemberId,
            LeaderId = status.Leader,
            Revision = header.Revision,
            Errors = [.. status.Errors],
        };
    }

    /// <summary>
    /// Makes a call invoker for the application's own stubs of etcd's services (locks, elections, users, maintenance, another etcd library),
    /// over this client's endpoints, connections, TLS and auth token.
    /// </summary>
    /// <remarks>
    /// <para>
    /// Unary calls go to a member that works. Those that only read, and <c>LeaseRevoke</c>, are tried at one endpoint after another, each
    /// with a short limit, until <see cref="EtcdClientOptions.RequestTimeout"/> or the call's own deadline passes: <c>Range</c>,
    /// <c>LeaseTimeToLive</c>, <c>LeaseLeases</c>, <c>MemberList</c>, <c>Status</c>, <c>Hash</c>, <c>HashKV</c>, <c>AuthStatus</c>,
    /// <c>UserGet</c>, <c>UserList</c>, <c>RoleGet</c>, <c>RoleList</c>, and <c>Leader</c> of an election. All others are sent once: they are
    /// tried elsewhere only where they surely were not carried out: where no connection could be made, where a learner or a leader that hands
    /// over refused them, or with a new token where etcd refused the token. They have no limit but the call's deadline, for some wait (<c>Lock</c>, <c>Campaign</c>).
    /// </para>
    /// <para>
    /// Streams are opened once, at one endpoint; whoever uses them opens another when one breaks, which then goes to a member that works. Read
    /// them to the end or dispose them. <see cref="Watch(EtcdWatchOptions)"/> and <see cref="KeepLease"/> survive breaks by themselves.
    /// </para>
    /// <para>
    /// The auth token is sent with each call, and fetched anew after etcd refused it; headers of the call's options are sent too, and a
    /// <c>token</c> among them goes before ours. Failures are <see cref="Grpc.Core.RpcException"/>, cancellation by the caller included. The
    /// invoker ends with this client and needs no disposal.
    /// </para>
    /// </remarks>
    /// <exception cref="ObjectDisposedException">The client was disposed.</exception>
    public Grpc.Core.CallInvoker CreateCallInvoker()
    {
        ObjectDisposedException.ThrowIf(_shutdown.IsCancellationRequested, this);
        return new UserCallInvoker(_failover, _tokens);
    }

    /// <summary>The same as <see cref="DisposeAsync"/>, and blocks until it is done: for a container of services that is not disposed asynchronously.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    /// <summary>Ends all watches and keepers and closes the connections. Leases are left to run out.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _shutdown.CancelAsync().ConfigureAwait(false);
        _failover.Unanswered.Dispose();
        await _keepers.DisposeAsync().ConfigureAwait(false);
        await _watches.DisposeAsync().ConfigureAwait(false);
        _leases.Dispose();
        _pool.Dispose();
        _metrics.Dispose();
    }

    private static partial class Log
    {
        [LoggerMessage(1001, LogLevel.Warning, "{Section}:Username and {Section}:Password go to {Endpoint} unencrypted: use https:// in {Section}:Endpoints.")]
        public static partial void PasswordInClear(ILogger logger, string section, Uri endpoint);

        [LoggerMessage(1002, LogLevel.Warning, "{Section}:Tls is set, but {Endpoint} is spoken to unencrypted: use https:// in {Section}:Endpoints.")]
        public static partial void TlsUnused(ILogger logger, string section, Uri endpoint);
    }
}
