using System.Collections.Frozen;
using Grpc.Core;
using Grpc.Protocol;
using Microsoft.AspNetCore.Http;

namespace Grpc.AspNetCore.Server.Messages;

/// <summary>Reads the headers of a request as metadata.</summary>
internal static class RequestMetadata
{
    // What the protocol itself needs is no metadata of the application.
    private static readonly FrozenSet<string> Protocol = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        GrpcHeaders.Encoding,
        GrpcHeaders.AcceptEncoding,
        GrpcHeaders.Timeout,
        "content-encoding",
        "content-type",
        "te",
        "host",
        "accept-encoding");

    public static Metadata Read(IHeaderDictionary headers)
    {
        var metadata = new Metadata();
        foreach (var (name, value) in headers)
        {
            if (name.StartsWith(':') || Protocol.Contains(name))
            {
                continue;
            }

            if (name.EndsWith(Metadata.BinaryHeaderSuffix, StringComparison.OrdinalIgnoreCase))
            {
                metadata.Add(name, GrpcHeaders.ParseBinary(value.ToString()));
            }
            else
            {
                metadata.Add(name, value.ToString());
            }
        }

        return metadata;
    }
}
