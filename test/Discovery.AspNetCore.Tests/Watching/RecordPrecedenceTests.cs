using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Watching;

namespace Discovery.AspNetCore.Tests.Watching;

public sealed class RecordPrecedenceTests
{
    [Fact]
    public void Layouts_that_say_more_come_first_and_else_the_order_is_the_settings()
    {
        var layouts = new LayoutCatalog([]).Parse("OpenIm, Kratos, GoZero, EtcdNaming");

        Assert.Equal(["Kratos", "EtcdNaming", "OpenIm", "GoZero"], RecordPrecedence.Order(layouts).Select(static l => l.Name));
    }

    [Fact]
    public void Of_one_layout_a_record_that_does_not_drain_counts_and_else_the_one_written_last()
    {
        ServiceInstance[] records = [Record(5, isDraining: true), Record(2), Record(3), Record(4, isDraining: true)];

        Assert.Equal([3, 2, 5, 4], records.OrderByDescending(RecordPrecedence.Of).Select(static r => r.Revision));
    }

    [Theory]
    [InlineData(false, true, true)]
    [InlineData(true, true, false)]
    [InlineData(false, false, false)]
    [InlineData(true, false, false)]
    public void A_later_layout_counts_only_where_the_earlier_one_drains_and_it_does_not(bool drains, bool earlierDrains, bool expected)
        => Assert.Equal(expected, RecordPrecedence.Replaces(Record(9, drains), Record(1, earlierDrains)));

    private static ServiceInstance Record(long revision, bool isDraining = false)
        => new() { Key = "k", ServiceName = "svc", Host = "10.0.0.1", Port = 80, Revision = revision, IsDraining = isDraining };
}
