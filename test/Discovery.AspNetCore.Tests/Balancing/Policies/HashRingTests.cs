using Discovery.AspNetCore.Balancing.Policies;
using Discovery.AspNetCore.Instances;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.AspNetCore.Tests.Balancing.Policies;

/// <summary>A ring that was made from another is the one that would be built from nothing.</summary>
public sealed class HashRingTests
{
    private readonly InstanceContext _context = new(new FakeTimeProvider(), new BalancingOptions(), NullLogger.Instance);

    [Theory]
    [InlineData(1, 10)]
    [InlineData(2, 10)]
    [InlineData(40, 10)]
    [InlineData(400, 10)]
    [InlineData(10, 1_000_000)]
    public void However_instances_change(int count, int largestWeight)
    {
        var random = new Random(count + largestWeight);
        var instances = Enumerable.Range(0, count).Select(i => Create(i, 10)).ToList();
        var ring = new HashRingBuilder(instances);
        var list = new InstanceList.Builder(instances);
        var told = new HashRingBuilder(instances);
        for (var i = 0; i < 40; i++)
        {
            var at = random.Next(instances.Count);
            var before = instances[at];
            var recordBefore = before.Record;
            var weight = random.Next(3) == 0 ? random.Next(1, largestWeight + 1) : 10;
            switch (random.Next(4))
            {
                case 0 when instances.Count > 1:
                    instances.RemoveAt(at);
                    break;
                case 1:
                    // Another process with the key of the one before: all hashes are the same.
                    instances[at] = Create(instances[at].Record.Port, weight);
                    break;
                case 2:
                    // The key went to another address while the one before is held, and changed its weight.
                    instances[at].Update(instances[at].Record with { Key = instances[random.Next(instances.Count)].Record.Key, Weight = weight });
                    break;
                default:
                    instances.Add(Create(1000 + i, weight));
                    break;
            }

            ring = ring.With(instances) ?? new HashRingBuilder(instances);

            var expected = new HashRingBuilder(instances).Ring;
            AssertSame(expected, ring.Ring);

            InstanceState[] changed = [before, .. instances.Contains(before) ? [] : instances.Except(list.ToList()), instances[^1]];
            foreach (var instance in changed)
            {
                if (instances.Contains(instance))
                {
                    list.Set(instance);
                }
                else
                {
                    list.Remove(instance);
                }
            }

            told.Update(list.ToList(), [.. changed.Distinct().Select(c => new InstanceChange(c, c == before ? recordBefore : c.Record))]);
            AssertSame(expected, told.Ring);
        }
    }

    [Fact]
    public void Nothing_is_built_where_nothing_changed()
    {
        List<InstanceState> instances = [Create(0, 10), Create(1, 10), Create(2, 10)];
        var ring = new HashRingBuilder(instances);

        Assert.Same(ring, ring.With([.. instances.AsEnumerable().Reverse()]));
    }

    private static void AssertSame(HashRing expected, HashRing actual)
    {
        Assert.Equal(expected.Count, actual.Count);
        var (one, other) = (expected.From("key"), actual.From("key"));
        var different = 0;
        for (var i = 0; i < expected.Count + 10; i++)
        {
            different += one.Next() == other.Next() ? 0 : 1;
        }

        Assert.Equal(0, different);
    }

    private InstanceState Create(int number, int weight)
        => new(new ServiceInstance { Key = $"svc/{number}", ServiceName = "svc", Host = "10.0.0.1", Port = number, Weight = weight }, _context);
}
