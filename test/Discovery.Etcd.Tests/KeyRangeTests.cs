using Discovery.Etcd.KeyValues;
using Google.Protobuf;

namespace Discovery.Etcd.Tests;

public sealed class KeyRangeTests
{
    [Theory]
    [InlineData("61", "62")]
    [InlineData("6173762F", "61737630")]
    [InlineData("61FF", "62")]
    [InlineData("61FFFF", "62")]
    [InlineData("FF", "00")]
    [InlineData("FFFF", "00")]
    [InlineData("C3BC", "C3BD")]
    [InlineData("6100", "6101")]
    public void The_end_of_a_prefix_is_computed_on_bytes(string prefix, string end) =>
        Assert.Equal(end, Convert.ToHexString(KeyRange.PrefixEnd(ByteString.CopyFrom(Convert.FromHexString(prefix))).Span));

    [Fact]
    public void The_empty_prefix_means_all_keys() =>
        Assert.Equal(("00", "00"), (Convert.ToHexString(KeyRange.Prefix("").Start.Span), Convert.ToHexString(KeyRange.Prefix("").End.Span)));

    [Fact]
    public void The_rest_of_a_range_starts_right_after_a_key() =>
        Assert.Equal("6100", Convert.ToHexString(KeyRange.Prefix("a").After(ByteString.CopyFromUtf8("a")).Start.Span));
}
