using System.Buffers.Binary;
using System.Globalization;
using Google.Protobuf;
using Helloworld;
using Microsoft.AspNetCore.Http;

namespace Discovery.FieldTests.Support;

/// <summary>Answers of a greeter by hand, so that a test decides about every byte.</summary>
internal static class GrpcAnswer
{
    /// <summary>Answers with a greeting.</summary>
    public static async Task SendAsync(HttpContext context, string message)
    {
        var reply = new HelloReply { Message = message }.ToByteArray();
        var frame = new byte[reply.Length + 5];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), reply.Length);
        reply.CopyTo(frame.AsSpan(5));
        context.Response.ContentType = "application/grpc";
        await context.Response.Body.WriteAsync(frame);
        context.Response.AppendTrailer("grpc-status", "0");
    }

    /// <summary>Answers with a status and nothing else.</summary>
    public static Task FailAsync(HttpContext context, int status)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = status.ToString(CultureInfo.InvariantCulture);
        return Task.CompletedTask;
    }
}
