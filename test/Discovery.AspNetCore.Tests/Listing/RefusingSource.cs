using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Grpc.Core;

namespace Discovery.AspNetCore.Tests.Listing;

/// <summary>An etcd that refuses one prefix, and only then answers the others, which are empty.</summary>
internal sealed class RefusingSource(string refused) : IServiceSource
{
    public const string Reason = "etcd: permission denied.";

    private readonly TaskCompletionSource _refused = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends when the prefix has been refused.</summary>
    public Task Refused => _refused.Task;

    /// <summary>Ends when another prefix has been answered.</summary>
    public Task Answered => _answered.Task;

    public IReadOnlyList<Uri> Endpoints => [new("http://etcd:2379")];

    public static EtcdFollowStatus Status(StatusCode code, string reason = Reason, string operation = "Range") => new()
    {
        Kind = EtcdFollowStatusKind.Unavailable,
        Error = new EtcdException(reason, new Status(code, reason), operation, []),
    };

    public Task<EtcdListing> ListAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        => throw new NotSupportedException();

    public IServiceWatch Watch(string prefix, long startRevision, ulong clusterId) => throw new NotSupportedException();

    public async IAsyncEnumerable<EtcdPrefixSnapshot> FollowAsync(
        string prefix, EtcdFollowOptions options, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (prefix == refused)
        {
            options.OnStatusChanged?.Invoke(Status(StatusCode.PermissionDenied));
            _refused.TrySetResult();
        }
        else
        {
            await _refused.Task.WaitAsync(cancellationToken);
            options.OnStatusChanged?.Invoke(new EtcdFollowStatus { Kind = EtcdFollowStatusKind.Watching });
            _answered.TrySetResult();
            yield return new EtcdPrefixSnapshot
            {
                Prefix = prefix,
                Items = ImmutableSortedDictionary.Create<string, EtcdKeyValue>(StringComparer.Ordinal),
                Revision = 1,
                ClusterId = 1,
            };
        }

        await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
    }
}
