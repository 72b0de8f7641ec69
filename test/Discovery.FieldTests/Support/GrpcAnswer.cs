using System.Buffers.Binary;
using System.Globalization;
using Google.Protobuf;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Http;

namespace Discovery.FieldTests.Support;

/// <summary>Answers of a greeter by hand, so that a test decides about every byte.</summary>
internal static class GrpcAnswer
{
    /// <summary>Answers with a greeting.</summary>
    /// <param name="context">The call.</param>
    /// <param name="message">The greeting.</param>
    /// <param name="status">How the call ends after it.</param>
    public static async Task SendAsync(HttpContext context, string message, StatusCode status = StatusCode.OK)
    {
        await WriteAsync(context, message);
        context.Response.AppendTrailer("grpc-status", ((int)status).ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>Sends a greeting and does not end the call.</summary>
    public static async Task WriteAsync(HttpContext context, string message)
    {
        var reply = new HelloReply { Message = message }.ToByteArray();
        var frame = new byte[reply.Length + 5];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), reply.Length);
        reply.CopyTo(frame.AsSpan(5));
        if (!context.Response.HasStarted)
        {
            context.Response.ContentType = "application/grpc";
        }

        await context.Response.Body.WriteAsync(frame);
    }

    /// <summary>Answers with a status and nothing else.</summary>
    public static Task FailAsync(HttpContext context, int status)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = status.ToString(CultureInfo.InvariantCulture);
        return Task.CompletedTask;
    }
}
