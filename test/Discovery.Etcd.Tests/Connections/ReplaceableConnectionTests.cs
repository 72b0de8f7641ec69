using Discovery.Etcd.Connections;
using Grpc.Net.Client;

namespace Discovery.Etcd.Tests.Connections;

public sealed class ReplaceableConnectionTests : IDisposable
{
    private readonly FakeTimeProvider _clock = new();
    private readonly ReplaceableConnection _connection;
    private int _made;

    public ReplaceableConnectionTests() => _connection = new ReplaceableConnection(
        () =>
        {
            _made++;
            return GrpcChannel.ForAddress("http://localhost");
        },
        _clock);

    public void Dispose() => _connection.Dispose();

    [Fact]
    public void Two_calls_in_a_row_without_an_answer_replace_it()
    {
        var first = Use(CallOutcome.Silent);
        Assert.Same(first, Use(CallOutcome.Answered));
        Assert.Same(first, Use(CallOutcome.Silent));
        Assert.Same(first, Use(CallOutcome.Silent));

        Assert.NotSame(first, Use(CallOutcome.Answered));
    }

    [Fact]
    public void A_call_that_its_caller_gave_up_early_says_nothing_of_it()
    {
        // Between two silences it is no answer, and alone it is no silence.
        var first = Use(CallOutcome.Silent);
        Assert.Same(first, Use(CallOutcome.Unknown));
        Assert.Same(first, Use(CallOutcome.Silent));

        var second = Use(CallOutcome.Unknown);
        Assert.NotSame(first, second);
        Assert.Same(second, Use(CallOutcome.Unknown));
        Assert.Same(second, Use(CallOutcome.Unknown));
    }

    [Fact]
    public void A_second_one_that_answers_while_the_first_does_not_takes_its_place()
    {
        var first = _connection.Rent();
        var second = _connection.RentSecond();
        _connection.Return(second, CallOutcome.Answered);

        Assert.Same(second, Use(CallOutcome.Answered));
        _connection.Return(first, CallOutcome.Unknown);
        Assert.Throws<ObjectDisposedException>(() => new Protocol.KV.KVClient(first.Invoker).RangeAsync(new Protocol.RangeRequest()));
    }

    [Fact]
    public void Where_the_first_answers_too_it_stays_and_the_second_is_used_again_and_closed_later()
    {
        for (var i = 0; i < 5; i++)
        {
            var first = _connection.Rent();
            var second = _connection.RentSecond();
            _connection.Return(first, CallOutcome.Answered);
            _connection.Return(second, CallOutcome.Answered);
            Assert.Same(first, Use(CallOutcome.Answered));
        }

        Assert.Equal(2, _made);
        _clock.Advance(TimeSpan.FromMinutes(1));
        Use(CallOutcome.Answered);
        _connection.Rent();
        _connection.RentSecond();
        Assert.Equal(3, _made);
    }

    private EtcdConnection Use(CallOutcome outcome)
    {
        var connection = _connection.Rent();
        _connection.Return(connection, outcome);
        return connection;
    }
}
