using Grpc.Core;
using Grpc.Subset.Tests.Interop;
using Microsoft.AspNetCore.Builder;

namespace Grpc.Subset.Tests;

public sealed class MetadataTests
{
    [Fact]
    public async Task Metadata_goes_to_the_server_and_comes_back_as_headers_and_trailers()
    {
        await using var server = await TestServer.StartAsync();
        var sent = new Metadata { { "Echo-Text", "some text, with a comma" }, { "echo-bytes-bin", new byte[] { 0, 1, 254, 255 } } };
        using var call = server.Client.EchoMetadataAsync(new Message(), sent);

        var headers = await call.ResponseHeadersAsync;
        var answer = await call;

        Assert.Equal(2, answer.Number);
        Assert.Equal("some text, with a comma", headers.GetValue("echo-text"));
        Assert.Equal<byte[]>([0, 1, 254, 255], headers.GetValueBytes("echo-bytes-bin")!);
        Assert.Equal("some text, with a comma", call.GetTrailers().GetValue("trailer-echo-text"));
        Assert.Equal<byte[]>([0, 1, 254, 255], call.GetTrailers().GetValueBytes("trailer-echo-bytes-bin")!);
    }

    [Fact]
    public async Task The_headers_arrive_before_the_first_message()
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client.WaitStream(new Message());

        Assert.NotNull((await call.ResponseHeadersAsync).GetValue("date"));
        Assert.True(await call.ResponseStream.MoveNext());
    }

    [Fact]
    public async Task A_name_that_is_sent_twice_comes_joined()
    {
        await using var server = await TestServer.StartAsync();

        await server.Client.EchoAsync(new Message(), new Metadata { { "twice", "one" }, { "twice", "two" } });

        Assert.Equal(["one, two"], server.Observer.RequestHeaders.GetAll("twice").Select(entry => entry.Value));
    }

    [Fact]
    public async Task The_server_sees_who_calls_what()
    {
        await using var server = await TestServer.StartAsync();

        await server.Client.EchoAsync(new Message());

        Assert.Equal("/interop.v1.Interop/Echo", server.Observer.Method);
        Assert.Equal(new Uri(server.Address).Authority, server.Observer.Host);
        Assert.StartsWith("ipv4:127.0.0.1:", server.Observer.Peer, StringComparison.Ordinal);
        Assert.Equal(DateTime.MaxValue, server.Observer.Deadline);
        Assert.StartsWith("grpc-dotnet/", server.Observer.RequestHeaders.GetValue("user-agent"), StringComparison.Ordinal);
        Assert.True(server.Observer.HasHttpContext);
        Assert.Equal(["user-agent"], server.Observer.RequestHeaders.Select(entry => entry.Key));
    }

    [Fact]
    public async Task Headers_can_be_sent_only_once()
    {
        await using var server = await TestServer.StartAsync(map: app => app.MapGrpcService<TwiceService>());

        Assert.Equal("Response headers can only be sent once per call.", (await server.Client.EchoAsync(new Message())).Text);
    }

    [Fact]
    public void Names_are_lower_case_and_the_last_of_a_name_is_found_whatever_its_case()
    {
        var metadata = new Metadata { { "Name", "first" }, { "name", "last" } };

        Assert.Equal(["name", "name"], metadata.Select(entry => entry.Key));
        Assert.Equal("last", metadata.GetValue("NAME"));
        Assert.Equal("last"u8.ToArray(), metadata.GetValueBytes("name"));
        Assert.Equal(2, metadata.GetAll("nAme").Count());
        Assert.Null(metadata.Get("other"));
    }

    [Fact]
    public void Names_and_kinds_of_value_are_checked()
    {
        Assert.Throws<ArgumentException>(() => new Metadata { { "a name", "" } });
        Assert.Throws<ArgumentException>(() => new Metadata { { "text-bin", "" } });
        Assert.Throws<ArgumentException>(() => new Metadata { { "bytes", Array.Empty<byte>() } });
        Assert.Throws<ArgumentException>(() => new Metadata { { "bytes", (byte[])null! } });
        Assert.Throws<ArgumentNullException>(() => new Metadata { { "bytes-bin", (byte[])null! } });
        Assert.Throws<ArgumentNullException>(() => new Metadata { { "text", (string)null! } });
        Assert.Throws<InvalidOperationException>(() => new Metadata { { "bytes-bin", new byte[1] } }.GetValue("bytes-bin"));
        Assert.Throws<InvalidOperationException>(() => Metadata.Empty.Add("a", "b"));
    }

    [Fact]
    public void Bytes_are_copied_both_ways()
    {
        byte[] bytes = [1];
        var entry = new Metadata.Entry("a-bin", bytes);

        bytes[0] = 2;
        entry.ValueBytes[0] = 3;

        Assert.True(entry.IsBinary);
        Assert.Equal<byte[]>([1], entry.ValueBytes);
    }

    [Fact]
    public void Metadata_is_a_list()
    {
        var (a, b, c) = (new Metadata.Entry("a", "1"), new Metadata.Entry("b", "2"), new Metadata.Entry("c", "3"));
        var metadata = new Metadata { a, c };

        metadata.Insert(1, b);
        Assert.Equal([a, b, c], metadata);
        Assert.Equal(1, metadata.IndexOf(b));
        metadata[0] = c;
        Assert.True(metadata.Remove(b));
        metadata.RemoveAt(0);
        Assert.Equal([c], metadata);
        Assert.Contains(c, metadata);
        metadata.Clear();
        Assert.Empty(metadata);
        Assert.Equal("[Entry: key=a, value=1]", a.ToString());
    }

    private sealed class TwiceService : Interop.Interop.InteropBase
    {
        public override async Task<Message> Echo(Message request, ServerCallContext context)
        {
            await context.WriteResponseHeadersAsync([]);
            var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => context.WriteResponseHeadersAsync([]));
            return new Message { Text = exception.Message };
        }
    }
}
