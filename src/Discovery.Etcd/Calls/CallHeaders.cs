using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>What goes beside the messages of a call.</summary>
internal static class CallHeaders
{
    private const string Token = "token";

    /// <summary>The headers of a stream of ours: the member must refuse it, or end it, while it knows no leader.</summary>
    /// <param name="token">etcd's auth token, if any. A secret.</param>
    public static Metadata OfStream(string? token) => Of(token, new Metadata { { "hasleader", "true" } });

    /// <summary>The headers of a call.</summary>
    /// <param name="token">etcd's auth token, if any. A secret.</param>
    /// <param name="others">What the caller sends besides; a token among it goes before ours.</param>
    public static Metadata Of(string? token, Metadata? others = null)
    {
        var headers = new Metadata();
        foreach (var other in others ?? [])
        {
            headers.Add(other);
        }

        AddToken(headers, token);
        return headers;
    }

    /// <summary>Adds the token, unless there is one.</summary>
    public static void AddToken(Metadata headers, string? token)
    {
        if (token is not null && headers.Get(Token) is null)
        {
            headers.Add(Token, token);
        }
    }

    /// <summary>Whether the caller sends a token of its own.</summary>
    public static bool HasToken(Metadata? headers) => headers?.Get(Token) is not null;
}
