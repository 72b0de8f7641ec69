using Discovery.Etcd.Leasing;
using Grpc.Core;

namespace Discovery.Etcd.Tests.Leasing;

public sealed class RetryDelayTests
{
    [Fact]
    public void What_passes_by_itself_is_tried_again_within_about_a_second()
    {
        var error = new EtcdException("", new Status(StatusCode.Unavailable, ""), "Txn", []);

        Assert.InRange(RetryDelay.After(error, 1), TimeSpan.FromMilliseconds(75), TimeSpan.FromMilliseconds(125));
        Assert.InRange(RetryDelay.After(error, 1000), TimeSpan.FromMilliseconds(750), TimeSpan.FromMilliseconds(1250));
    }

    [Theory]
    [InlineData(StatusCode.PermissionDenied)]
    [InlineData(StatusCode.InvalidArgument)]
    [InlineData(StatusCode.ResourceExhausted)]
    [InlineData(StatusCode.DataLoss)]
    [InlineData(StatusCode.Unknown, "auth: authentication failed, password was given for no password user")]
    public void What_only_a_person_can_put_right_backs_off_to_about_30_s(StatusCode code, string detail = "")
    {
        var error = new EtcdException("", new Status(code, detail), "Txn", []);

        Assert.InRange(RetryDelay.After(error, 1), TimeSpan.FromMilliseconds(750), TimeSpan.FromMilliseconds(1250));
        Assert.InRange(RetryDelay.After(error, 1000), TimeSpan.FromSeconds(22), TimeSpan.FromSeconds(38));

        // In the first minute etcd is asked about eight times, not 60.
        Assert.True(Enumerable.Range(1, 8).Sum(n => Jitter.Grow(RetryDelay.FirstRefused, n, RetryDelay.LongestRefused).TotalSeconds) > 60);
    }
}
