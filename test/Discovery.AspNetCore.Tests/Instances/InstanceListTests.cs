using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Tests.Instances;

public sealed class InstanceListTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(129)]
    [InlineData(1000)]
    public void A_builder_has_what_was_set_and_not_removed_and_lists_stay_as_they_were(int count)
    {
        var random = new Random(count);
        var model = Enumerable.Range(0, count).Select(i => Create(i, 10)).ToHashSet();
        var builder = new InstanceList.Builder(model);
        List<(InstanceList List, InstanceState[] Expected)> lists = [];
        for (var step = 0; step < 500; step++)
        {
            for (var i = random.Next(4); i > 0; i--)
            {
                Change(random, model, builder, step);
            }

            var list = builder.ToList();
            AssertHas(list, model);
            lists.Add((list, [.. list]));
        }

        Assert.All(lists, static l => Assert.Equal(l.Expected, l.List));
    }

    [Fact]
    public void Nothing_is_made_where_nothing_changed()
    {
        var builder = new InstanceList.Builder([Create(1, 10), Create(2, 10)]);
        var list = builder.ToList();

        builder.Set(list[0]);
        builder.Remove(Create(3, 10));

        Assert.Same(list, builder.ToList());
    }

    [Fact]
    public void Another_weight_of_an_instance_that_is_there_counts()
    {
        var instance = Create(1, 10);
        var builder = new InstanceList.Builder([instance, Create(2, 10)]);
        Assert.True(builder.ToList().HasEqualWeights);

        instance.Update(instance.Record with { Weight = 30 });
        builder.Set(instance);

        Assert.False(builder.ToList().HasEqualWeights);
        Assert.Equal(40, builder.ToList().TotalWeight);
    }

    [Fact]
    public void A_copy_says_what_a_builder_does()
    {
        InstanceState[] instances = [.. Enumerable.Range(0, 300).Select(static i => Create(i, i == 200 ? 20 : 10))];

        AssertHas(InstanceList.Of(instances), [.. instances]);
        AssertHas(InstanceList.Of(instances[..200]), [.. instances[..200]]);
        Assert.False(InstanceList.Of(instances[..200]).Contains(instances[200]));
    }

    private static void Change(Random random, HashSet<InstanceState> model, InstanceList.Builder builder, int step)
    {
        if (model.Count > 0 && random.Next(2) == 0)
        {
            var instance = model.ElementAt(random.Next(model.Count));
            if (random.Next(4) == 0)
            {
                instance.Update(instance.Record with { Weight = 20 });
                builder.Set(instance);
                return;
            }

            model.Remove(instance);
            builder.Remove(instance);
            return;
        }

        var added = Create(10_000 + step, random.Next(10) == 0 ? 20 : 10);
        model.Add(added);
        builder.Set(added);
    }

    private static void AssertHas(InstanceList list, HashSet<InstanceState> model)
    {
        Assert.Equal(model.Count, list.Count);
        Assert.True(model.SetEquals(list));
        Assert.True(model.SetEquals(Enumerable.Range(0, list.Chunks).SelectMany(i => list.Chunk(i).ToArray())));
        Assert.All(model, i => Assert.True(list.Contains(i)));
        Assert.Equal(model.Sum(static i => i.Weight), list.TotalWeight);
        Assert.Equal(model.Select(static i => i.Weight).Distinct().Count() <= 1, list.HasEqualWeights);
    }

    private static InstanceState Create(int number, int weight)
        => new(new ServiceInstance { Key = $"svc/{number}", ServiceName = "svc", Host = "10.0.0.1", Port = number + 1, Weight = weight });
}
