using Discovery.AspNetCore.Balancing.Steps;

namespace Discovery.AspNetCore.Tests.Balancing.Steps;

public class SubsetTests
{
    [Theory]
    [InlineData(100, 20)]
    [InlineData(37, 5)]
    [InlineData(300, 100)]
    public void A_thousand_numbered_clients_spread_to_within_two_of_even(int servers, int size)
    {
        var rig = new BalancingRig(servers);
        foreach (var name in new[] { "web-", "orders-api-", "host" })
        {
            var uses = Enumerable.Range(0, 1000)
                .SelectMany(i => Subset.Choose(rig.Instances, size, $"{name}{i}").Chosen)
                .CountBy(e => e).ToDictionary();

            var even = 1000.0 * size / servers;
            Assert.All(rig.Instances, e => Assert.InRange(uses[e], even - 2, even + 2));
        }
    }

    [Fact]
    public void Clients_without_a_number_spread_as_chance_has_it()
    {
        var rig = new BalancingRig(100);
        var names = new Random(1);

        var uses = Enumerable.Range(0, 1000)
            .SelectMany(_ => Subset.Choose(rig.Instances, 20, $"pod-{names.NextInt64():x}-x").Chosen)
            .CountBy(e => e).ToDictionary();

        Assert.All(rig.Instances, e => Assert.InRange(uses[e], 130, 270));
    }

    [Fact]
    public void A_server_that_comes_or_goes_changes_at_most_one_member()
    {
        var rig = new BalancingRig(60);
        var all = rig.Instances;
        var random = new Random(7);
        for (var client = 0; client < 200; client++)
        {
            List<InstanceState> servers = [.. all.Where(_ => random.NextDouble() < 0.8)];
            var id = client % 2 == 0 ? $"web-{client}" : $"web-{random.Next():x}-y";
            var before = Subset.Choose(servers, 12, id).Chosen;
            var gone = servers[random.Next(servers.Count)];
            servers.Remove(gone);

            var after = Subset.Choose(servers, 12, id).Chosen;

            Assert.Equal(12, after.Distinct().Count());
            Assert.InRange(before.Except(after).Count(), 0, 1);
            Assert.InRange(after.Except(before).Count(), 0, 1);
        }
    }

    [Fact]
    public void The_same_client_gets_the_same_subset_whatever_the_order()
    {
        var rig = new BalancingRig(50);
        var chosen = Subset.Choose(rig.Instances, 10, "web-3").Chosen;
        rig.Instances.Reverse();

        Assert.Equal(chosen, Subset.Choose(rig.Instances, 10, "web-3").Chosen);
    }

    [Fact]
    public void Ports_of_one_record_have_the_same_order_for_all_clients()
    {
        var rig = new BalancingRig(100, shape: static (i, r) => r with { Key = $"svc/{i / 2}" });
        List<InstanceState> reversed = [.. Enumerable.Reverse(rig.Instances)];

        for (var i = 0; i < 50; i++)
        {
            Assert.Equal(Subset.Choose(rig.Instances, 11, $"web-{i}").Chosen, Subset.Choose(reversed, 11, $"web-{i}").Chosen);
        }
    }

    [Fact]
    public void A_subset_that_follows_what_comes_and_goes_is_what_would_be_chosen_from_all()
    {
        var rig = new BalancingRig(60, shape: static (i, r) => r with { Key = $"svc/{i / 2}" });
        var random = new Random(3);
        var window = new SubsetWindow(12, "web-1");
        HashSet<InstanceState> all = [], chosen = [];
        for (var step = 0; step < 500; step++)
        {
            for (var i = random.Next(4); i >= 0; i--)
            {
                var instance = rig[random.Next(60)];
                if (all.Remove(instance))
                {
                    window.Remove(instance);
                }
                else
                {
                    all.Add(instance);
                    window.Set(instance);
                }
            }

            var (added, removed) = window.Choose();
            Assert.True(chosen.IsSupersetOf(removed) && !chosen.Overlaps(added));
            chosen.ExceptWith(removed);
            chosen.UnionWith(added);

            var (expected, others) = Subset.Choose([.. all], 12, "web-1");
            Assert.True(chosen.SetEquals(expected));
            Assert.Equal(others.Count > 0, window.HasOthers);
        }
    }

    [Fact]
    public void A_process_that_takes_over_key_and_address_takes_over_the_place()
    {
        var window = new SubsetWindow(2, "web-1");
        var before = new InstanceState(new ServiceInstance { Key = "svc/1", ServiceName = "svc", Host = "10.0.0.1", Port = 1 });
        var after = new InstanceState(before.Record with { InstanceId = "b" });
        window.Set(before);
        window.Choose();

        window.Set(after);
        window.Remove(before);
        var (added, removed) = window.Choose();

        Assert.Same(after, Assert.Single(added));
        Assert.Same(before, Assert.Single(removed));
        Assert.True(window.IsChosen(after));
    }

    [Fact]
    public void Calls_stay_within_the_subset_also_when_all_of_it_was_tried()
    {
        var rig = new BalancingRig(20, o => o.SubsetSize = 3);
        var balancer = rig.Build();

        Assert.Equal(3, rig.Count(balancer, 300).Count(c => c > 0));
        Assert.Null(balancer.Pick(default, [.. balancer.InUse]));
    }

    [Fact]
    public void A_client_id_may_be_any_text()
    {
        var rig = new BalancingRig(20);

        foreach (var id in new[] { "", "7", "99999999999999999999", "a-4294967296", "ü", "web-00000000001" })
        {
            Assert.Equal(5, Subset.Choose(rig.Instances, 5, id).Chosen.Count);
        }
    }
}
