using Discovery.AspNetCore.LoadReports;
using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;

namespace Discovery.AspNetCore.Tests.LoadReports;

/// <summary>Reports as Google's implementation of the wire format writes and reads them.</summary>
public sealed class LoadReportTests
{
    [Fact]
    public void What_is_written_is_a_message_of_its_fields()
    {
        var input = new CodedInputStream(Convert.FromBase64String(new LoadReport(3, 0.25, 100, 2).ToString()));
        var numbers = new Dictionary<int, double>();
        while (input.ReadTag() is var tag and not 0)
        {
            if (tag == WireFormat.MakeTag(8, WireFormat.WireType.LengthDelimited))
            {
                var entry = new CodedInputStream(input.ReadBytes().ToByteArray());
                Assert.Equal(WireFormat.MakeTag(1, WireFormat.WireType.LengthDelimited), entry.ReadTag());
                Assert.Equal("rif", entry.ReadString());
                Assert.Equal(WireFormat.MakeTag(2, WireFormat.WireType.Fixed64), entry.ReadTag());
                numbers.Add(8, entry.ReadDouble());
                Assert.True(entry.IsAtEnd);
            }
            else
            {
                numbers.Add(WireFormat.GetTagFieldNumber(tag), input.ReadDouble());
            }
        }

        Assert.Equal([(1, 0.25), (6, 100.0), (7, 2.0), (8, 3.0)], numbers.OrderBy(static n => n.Key).Select(static n => (n.Key, n.Value)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_others_write_is_read_with_padding_and_without(bool isPadded)
    {
        var text = Convert.ToBase64String(Message(("cpu", 0.5), ("rif", 7), ("queue", 2)));

        Assert.True(LoadReport.TryReadInFlight(isPadded ? text : text.TrimEnd('='), out var inFlight));
        Assert.Equal(7, inFlight);
    }

    [Fact]
    public void A_report_without_the_calls_in_flight_is_one_too()
    {
        Assert.True(LoadReport.TryReadInFlight(Convert.ToBase64String(Message(("cpu", 0.5))), out var inFlight));
        Assert.Null(inFlight);
        Assert.True(LoadReport.TryReadInFlight("", out inFlight));
        Assert.Null(inFlight);
    }

    [Theory]
    [InlineData("not base64!")]
    [InlineData("a")]
    [InlineData("CQ==")]
    [InlineData("QgU=")]
    [InlineData("////////////////")]
    [InlineData("QgD/")]
    public void Anything_else_is_none(string text) => Assert.False(LoadReport.TryReadInFlight(text, out _));

    [Theory]
    [InlineData(-1)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(1e300)]
    public void A_number_that_no_server_has_is_none(double inFlight)
        => Assert.False(LoadReport.TryReadInFlight(Convert.ToBase64String(Message(("rif", inFlight))), out _));

    [Fact]
    public void One_that_is_too_long_is_none() => Assert.False(LoadReport.TryReadInFlight(new string('A', 100_000), out _));

    [Fact]
    public void No_bytes_make_it_throw()
        => Prop.ForAll<byte[]>(static bytes => !LoadReport.TryReadInFlight(Convert.ToBase64String(bytes), out var n) || n is null or >= 0)
            .QuickCheckThrowOnFailure();

    private static byte[] Message(params (string Name, double Value)[] metrics)
    {
        using var stream = new MemoryStream();
        using var output = new CodedOutputStream(stream);

        // The old field of requests per second, a varint, and one that does not exist yet.
        output.WriteTag(3, WireFormat.WireType.Varint);
        output.WriteUInt64(1000);
        output.WriteTag(99, WireFormat.WireType.Fixed32);
        output.WriteFixed32(1);
        foreach (var (name, value) in metrics)
        {
            using var entry = new MemoryStream();
            using var pair = new CodedOutputStream(entry);
            pair.WriteTag(1, WireFormat.WireType.LengthDelimited);
            pair.WriteString(name);
            pair.WriteTag(2, WireFormat.WireType.Fixed64);
            pair.WriteDouble(value);
            pair.Flush();
            output.WriteTag(8, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom(entry.ToArray()));
        }

        output.Flush();
        return stream.ToArray();
    }
}
