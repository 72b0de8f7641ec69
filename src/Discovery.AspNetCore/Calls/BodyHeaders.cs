namespace Discovery.AspNetCore.Calls;

/// <summary>What the headers of a response's body tell. There are few of them, and to go through them once takes less time than to look up each.</summary>
/// <param name="IsGrpc">Whether the body is gRPC's.</param>
/// <param name="Length">Its length as it was sent; null if that is not told.</param>
internal readonly record struct BodyHeaders(bool IsGrpc, string? Length)
{
    public static BodyHeaders Of(HttpContent content)
    {
        var isGrpc = false;
        string? length = null;
        foreach (var (name, values) in MessageParts.HeadersOf(content)?.NonValidated ?? default)
        {
            switch (name)
            {
                case "Content-Type":
                    isGrpc = NoInstance.IsGrpc(values.ToString());
                    break;
                case "Content-Length":
                    length = values.ToString();
                    break;
            }
        }

        return new BodyHeaders(isGrpc, length);
    }
}
