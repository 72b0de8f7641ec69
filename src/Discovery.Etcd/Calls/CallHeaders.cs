using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>What goes beside the messages of a call.</summary>
internal static class CallHeaders
{
    public const string Token = "token";

    /// <summary>The headers of a call.</summary>
    /// <param name="token">etcd's auth token, if any. A secret.</param>
    /// <param name="requireLeader">Whether the member must refuse, or end a stream, while it knows no leader.</param>
    public static Metadata Of(string? token, bool requireLeader = false)
    {
        var headers = new Metadata();
        if (token is not null)
        {
            headers.Add(Token, token);
        }

        if (requireLeader)
        {
            headers.Add("hasleader", "true");
        }

        return headers;
    }
}
