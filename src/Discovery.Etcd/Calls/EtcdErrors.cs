using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Discovery.Etcd.Connections;
using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>Words failures: what failed, where, and what to do about it.</summary>
/// <param name="options">The settings.</param>
/// <param name="section">The section that the settings are called by.</param>
internal sealed class EtcdErrors(EtcdClientOptions options, string section = EtcdClientOptions.DefaultSection)
{
    private const string NoLeader =
        "A member that runs but does not serve has no leader: check that a majority of the members runs and that they reach each other.";

    private const string Silent =
        "What runs there is overloaded, or this machine is, or it is a member that has no leader: check the load and the disk of both, and that a majority of "
        + "the members runs, where it is one of several.";

    private const string Overloaded =
        "etcd is overloaded: it takes in more requests than it can apply. Check how long its disk needs (etcd_disk_wal_fsync_duration_seconds), and who sends so many.";

    private const string Expired = "The certificate there has expired, or is not valid yet: renew it, or set this machine's clock right.";

    /// <summary>The section that the settings are called by.</summary>
    public string Section => section;

    private string Reach
        => $"Check that etcd runs there, that {section}:Endpoints names its client URLs, and that http and https match what it listens with.";

    private string Learner
        => $"A learner serves no calls: name the voting members in {section}:Endpoints, or promote it by 'etcdctl member promote'.";

    private string Tls
        => $" Check also that {section}:Tls:CaFile holds the authority of etcd's certificate, that the certificate bears the endpoint's host or "
            + $"{section}:Tls:ServerName, and, where etcd wants one, {section}:Tls:CertificateFile.";

    private string OtherName
        => $"The certificate there bears another name: put one that it bears into {section}:Endpoints, or set {section}:Tls:ServerName to it.";

    private string OtherAuthority
        => $"The certificate there is of an authority that is not trusted: put that authority's certificate into the file that {section}:Tls:CaFile names. "
            + "Where other authorities stand between the two, put theirs there too, or have etcd send them with its own.";

    private string SetUser => $" The cluster has authentication enabled: set {section}:Username and {section}:Password.";

    /// <summary>etcd answered, and said no.</summary>
    public EtcdException Refused(string operation, string endpoint, CallFailedException failure) => new(
        $"etcd refused {operation} at {endpoint}: {failure.Detail} ({failure.Code}).{Advice(operation, failure.Detail)}",
        new Status(failure.Code, failure.Detail, failure),
        operation,
        [endpoint]);

    /// <summary>An operation failed that must not be sent twice.</summary>
    public EtcdException NotRepeated(string operation, string endpoint, CallFailedException failure) => new(
        failure.Kind == CallFailureKind.NotConnected
            ? $"etcd is not available: {operation} was not sent, for there is no connection to {endpoint} ({failure.Detail}). {Reach}"
            : $"{operation} at {endpoint} failed: {failure.Detail} ({failure.Code}). etcd may have carried it out; it was not sent again.",
        new Status(failure.Code, failure.Detail, failure),
        operation,
        [endpoint]);

    /// <summary>No endpoint answered as it should within the total limit.</summary>
    /// <param name="operation">The operation.</param>
    /// <param name="pool">All endpoints.</param>
    /// <param name="attempts">What was tried.</param>
    /// <param name="deadline">The caller's own limit, if there was one.</param>
    /// <param name="isUnderWay">Whether it is tried on, and <paramref name="attempts"/> may be of operations before it.</param>
    public EtcdException Unreachable(
        string operation,
        EndpointPool pool,
        IReadOnlyList<(EtcdEndpoint Endpoint, CallFailedException Failure)> attempts,
        TimeSpan? deadline,
        bool isUnderWay = false)
    {
        var limit = Limit(deadline);
        if (attempts.Count == 0)
        {
            return new EtcdException(
                $"{operation} got no answer within {limit} from {string.Join(", ", pool.All.Select(e => e.Name))}. {Reach}",
                new Status(StatusCode.DeadlineExceeded, "no answer in time"),
                operation,
                []);
        }

        var tried = attempts
            .GroupBy(a => a.Endpoint)
            .Select(g => $"{g.Key.Name} ({g.First().Failure.Detail}{(g.Count() > 1 ? $"; {g.Count()} attempts" : "")})");
        var isOfTls = attempts.GroupBy(a => a.Endpoint).All(g => g.Last().Failure.IsOfTls);
        var isInTime = deadline is null && !attempts.All(a => a.Failure.Kind == CallFailureKind.Silence);
        return new EtcdException(
            $"etcd is not available: {operation} {(isUnderWay ? "has not succeeded yet" : $"failed for {limit}")} at {string.Join(", ", tried)}. "
                + Advice(attempts, isOneEndpoint: pool.All.Count == 1),
            new Status(isInTime ? StatusCode.Unavailable : StatusCode.DeadlineExceeded, attempts[^1].Failure.Detail, attempts[^1].Failure),
            operation,
            [.. attempts.Select(a => a.Endpoint.Name).Distinct()])
        {
            Reason = isOfTls ? EtcdErrorReason.TlsFailed : EtcdMessages.ReasonOf(attempts[^1].Failure.Detail),
        };
    }

    /// <summary>An endpoint had begun to answer when the total limit passed: that the whole takes longer is no fault of etcd's.</summary>
    /// <param name="operation">The operation.</param>
    /// <param name="endpoint">Where the answer came from.</param>
    /// <param name="deadline">The caller's own limit, if there was one.</param>
    public EtcdException Incomplete(string operation, EtcdEndpoint endpoint, TimeSpan? deadline)
    {
        var what = $"the answer did not arrive whole within {Limit(deadline)}";
        var remedy = deadline is null ? $"raise {section}:RequestTimeout" : "give the call a later deadline";
        var cause = OperationNames.HasLongAnswer(operation)
            ? $"The connection there is slow for so much: {remedy}, or ask for less at a time."
            : $"So small an answer is late where this machine or the connection is overloaded: look at both, or {remedy}.";
        return new EtcdException(
            $"{operation} failed: {what} from {endpoint.Name}, which had begun to send it. {cause}",
            new Status(StatusCode.DeadlineExceeded, what),
            operation,
            [endpoint.Name])
        {
            Reason = EtcdErrorReason.AnswerIncomplete,
        };
    }

    /// <summary>A stream ended before its time.</summary>
    public EtcdException StreamEnded(string operation, string endpoint, CallFailedException end) => new(
        $"The {operation} stream at {endpoint} ended: {end.Detail} ({end.Code}).{Advice(operation, end.Detail)}",
        new Status(end.Code, end.Detail, end),
        operation,
        [endpoint]);

    private string Limit(TimeSpan? deadline) => $"{(deadline ?? options.RequestTimeout).TotalSeconds:0.###} s";

    private string Advice(IReadOnlyList<(EtcdEndpoint Endpoint, CallFailedException Failure)> attempts, bool isOneEndpoint)
    {
        if (attempts.All(static a => a.Failure.IsOfTls || a.Failure.Kind == CallFailureKind.Silence)
            && attempts.Select(a => OfCertificate(a.Failure.Detail)).LastOrDefault(static a => a is not null) is { } advice)
        {
            return advice;
        }

        var isSecure = attempts.Any(a => a.Endpoint.Address.Scheme == Uri.UriSchemeHttps);
        return Remedy([.. attempts.Select(static a => a.Failure)], isOneEndpoint) + (isSecure ? Tls : "");
    }

    private string Remedy(IReadOnlyList<CallFailedException> failures, bool isOneEndpoint)
    {
        var answers = failures.Where(static f => f.Kind == CallFailureKind.Status).Select(static f => f.Detail).ToList();
        return answers.Exists(static a => a.Contains(EtcdMessages.TooManyRequests, StringComparison.Ordinal)) ? Overloaded
            : answers.Exists(EtcdMessages.IsOfLeader) ? NoLeader
            : failures.Any(static f => f.Kind == CallFailureKind.Silence) ? isOneEndpoint ? Silent : NoLeader
            : answers.Exists(static a => a.Contains(EtcdMessages.NotForLearner, StringComparison.Ordinal)) ? Learner
            : Reach;
    }

    // The detail has the framework's names of what is wrong, and all of them.
    private string? OfCertificate(string detail)
        => detail.EndsWith($": {nameof(X509ChainStatusFlags.NotTimeValid)}", StringComparison.Ordinal) ? Expired
            : detail.EndsWith($": {nameof(SslPolicyErrors.RemoteCertificateNameMismatch)}", StringComparison.Ordinal) ? OtherName
            : detail.EndsWith($": {nameof(X509ChainStatusFlags.PartialChain)}", StringComparison.Ordinal)
                || detail.EndsWith($": {nameof(X509ChainStatusFlags.UntrustedRoot)}", StringComparison.Ordinal) ? OtherAuthority
            : null;

    /// <summary>The remedy for etcd's known refusals, with a leading space; else nothing.</summary>
    private string Advice(string operation, string detail) => EtcdMessages.ReasonOf(detail) switch
    {
        EtcdErrorReason.AuthenticationRequired => SetUser,
        EtcdErrorReason.AuthenticationFailed when detail.Contains(EtcdMessages.NoPasswordUser, StringComparison.Ordinal) =>
            $" The user '{options.Username}' was added with --no-password: add it with a password, or set neither {section}:Username nor {section}:Password and "
            + $"have {section}:Tls:CertificateFile name a certificate whose common name is the user.",
        EtcdErrorReason.AuthenticationFailed => $" Check {section}:Username, which is '{options.Username}', and {section}:Password.",
        EtcdErrorReason.PermissionDenied when !string.IsNullOrEmpty(options.Username) =>
            $" No role of the user '{options.Username}' allows it: {Grant(operation, options.Username)}.",
        EtcdErrorReason.PermissionDenied when !string.IsNullOrEmpty(options.Tls.CertificateFile) =>
            $" No role of the user that the common name of {section}:Tls:CertificateFile names allows it: {Grant(operation, "<user>")}.",
        EtcdErrorReason.PermissionDenied => SetUser,
        EtcdErrorReason.NoSpace => " Compact and defragment etcd, then disarm the alarm: 'etcdctl alarm disarm'.",
        EtcdErrorReason.Corrupt => " The members' data differ: find the member by 'etcdctl alarm list', replace it, then disarm the alarm: 'etcdctl alarm disarm'.",
        EtcdErrorReason.RequestTooLarge => " etcd takes 1.5 MiB in one request unless it runs with --max-request-bytes.",
        _ => "",
    };

    /// <summary>What gives a user the right to an operation, and no more than that.</summary>
    private static string Grant(string operation, string user) => OperationNames.NeededPermission(operation) is { } permission
        ? $"grant one with 'etcdctl role grant-permission <role> {permission} --prefix=true <prefix>'"
        : $"it takes the role root, as by 'etcdctl user grant-role {user} root'";
}
