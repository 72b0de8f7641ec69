using System.Diagnostics.CodeAnalysis;
using System.Text;
using Discovery.AspNetCore.Tests.Watching;
using Discovery.AspNetCore.Watching;
using Discovery.EmbeddedEtcd;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace Discovery.AspNetCore.Tests.Listing;

/// <summary>Which services there are, whoever calls them.</summary>
public sealed class ListServicesTests : EtcdTestBase
{
    [Fact]
    public async Task All_services_are_listed_with_their_instances()
    {
        await RegisterAsync("user", "10.0.0.2:80");
        await RegisterAsync("greeter", "10.0.0.1:81", """{"weight":5,"draining":true}""");
        await RegisterAsync("greeter", "10.0.0.1:80");

        var listing = await Read().ListServicesAsync();

        Assert.Equal(["greeter", "user"], NamesOf(listing));
        Assert.Equal(["10.0.0.1:80", "10.0.0.1:81"], listing.Services[0].Instances.Select(static i => i.Address));
        Assert.True(listing.Services[0].Instances[1].IsDraining);
        Assert.Null(listing.Services[0].Cluster);
        Assert.Equal(0, listing.SkippedRecords);
        Assert.Empty(listing.UnlistedLayouts);
    }

    [Fact]
    public async Task Every_layout_is_listed_and_those_without_a_root_are_named()
    {
        await RegisterAsync("naming", "10.0.0.1:80");
        await PutAsync("openim:///User/10.0.0.2:80", "10.0.0.2:80");
        await PutAsync("/microservices/kratos/1", """{"id":"1","name":"kratos","endpoints":["grpc://10.0.0.3:80","http://10.0.0.3:81"]}""");
        await PutAsync("kitex/registry-etcd/kitex/10.0.0.4:80", """{"network":"tcp","address":"10.0.0.4:80","weight":10}""");
        await PutAsync("zero.rpc/123", "10.0.0.5:80");
        await PutAsync("eu/zero.rpc/123", "10.0.0.6:80");

        var listing = await Read(
            ("Etcd:Discovery:Layout", "EtcdNaming, EtcdNamingObject, Kratos, Kitex, GoZero, GoZero:eu"),
            ("Etcd:Discovery:Services:User:Layout", "OpenIm")).ListServicesAsync();

        Assert.Equal(["User", "kitex", "kratos", "naming", "zero.rpc"], NamesOf(listing));
        Assert.Equal(["10.0.0.3:80", "10.0.0.3:81"], listing.Services[2].Instances.Select(static i => i.Address));
        Assert.Equal(["10.0.0.6:80"], listing.Services[4].Instances.Select(static i => i.Address));
        Assert.Equal(["GoZero"], listing.UnlistedLayouts);
    }

    [Fact]
    public async Task Hostile_records_are_skipped_and_counted()
    {
        await RegisterAsync("good", "10.0.0.1:80");
        await PutAsync("services/", "x");
        await PutAsync("services/noid", "x");
        await PutAsync("services//10.0.0.1:80", """{"Addr":"10.0.0.1:80"}""");
        await PutAsync("services/a\u0007b/10.0.0.1:80", """{"Addr":"10.0.0.1:80"}""");
        await PutAsync("services/garbage/1", "{");
        await PutAsync("services/deep/1", new string('[', 10_000));
        await PutAsync("services/wrong/1", """{"Addr":"nowhere"}""");
        await Client.PutAsync("services/\uFFFD/10.0.0.9:80", Encoding.UTF8.GetBytes("""{"Addr":"10.0.0.9:80"}"""));

        var listing = await Read().ListServicesAsync();

        Assert.Equal(["good", "\uFFFD"], NamesOf(listing));
        Assert.Equal(7, listing.SkippedRecords);
        Assert.True(Log.Has(LogLevel.Debug, "7 records below services/"));
    }

    [Fact]
    public async Task One_address_is_one_instance_and_says_what_the_better_record_says()
    {
        await RegisterAsync("svc", "10.0.0.1:80", """{"weight":7}""");
        await PutAsync("services/svc/again", """{"Addr":"10.0.0.1:80","Metadata":{"weight":8,"draining":true}}""");
        await PutAsync("openim:///svc/10.0.0.1:80", "10.0.0.1:80");

        var listing = await Read(("Etcd:Discovery:Layout", "OpenIm, EtcdNaming")).ListServicesAsync();

        Assert.Equal(7, Assert.Single(Assert.Single(listing.Services).Instances).Weight);
    }

    /// <summary>As calls have it, which would go to it.</summary>
    [Fact]
    public async Task An_address_that_drains_in_one_layout_and_serves_in_another_serves()
    {
        await RegisterAsync("user", "10.0.0.1:80", """{"weight":7,"draining":true}""");
        await PutAsync("openim:///user/10.0.0.1:80", "10.0.0.1:80");
        (string, string)[] settings = [("Etcd:Discovery:Layout", "OpenIm, EtcdNaming")];
        var directory = Read(settings);

        var listed = Assert.Single(Assert.Single((await directory.ListServicesAsync()).Services).Instances);

        Assert.False(listed.IsDraining);

        // The layouts are listed one after the other.
        await Eventually.IsTrue(async () => !Assert.Single((await directory.WaitForReadyAsync("user")).Instances).IsDraining);
    }

    [Fact]
    public async Task A_root_below_another_one_is_not_read_as_a_service_of_it()
    {
        await RegisterAsync("greeter", "10.0.0.1:80");
        await RegisterAsync("user", "10.0.0.2:80", root: "services/eu/");

        var listing = await Read(("Etcd:Discovery:Layout", "EtcdNaming, EtcdNaming:services/eu/")).ListServicesAsync();

        Assert.Equal(["greeter", "user"], NamesOf(listing));
        Assert.Equal(0, listing.SkippedRecords);
    }

    [Fact]
    public async Task Services_whose_instances_stand_in_the_settings_are_listed_as_the_directory_has_them()
    {
        await RegisterAsync("fixed", "10.0.0.9:80");
        await RegisterAsync("greeter", "10.0.0.1:80");

        var listing = await Read(("Etcd:Discovery:Services:fixed:Instances", "127.0.0.1:1,127.0.0.1:2")).ListServicesAsync();

        Assert.Equal(["fixed", "greeter"], NamesOf(listing));
        Assert.Equal(["127.0.0.1:1", "127.0.0.1:2"], listing.Services[0].Instances.Select(static i => i.Address));
    }

    [Fact]
    public async Task Without_etcd_the_settings_are_listed()
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(
            [new("Etcd:Discovery:Services:fixed:Instances", "127.0.0.1:1")]).Build());
        services.AddHttpClient("fixed").AddEtcdDiscovery("fixed");
        await using var provider = services.BuildServiceProvider();

        Assert.Equal(["fixed"], NamesOf(await provider.GetRequiredService<IServiceDirectory>().ListServicesAsync()));
    }

    [Fact]
    public async Task A_watch_tells_each_change_of_the_set_and_none_of_instances()
    {
        await RegisterAsync("one", "10.0.0.1:80");
        var directory = Read();
        await using var watch = directory.WatchServicesAsync().GetAsyncEnumerator();
        Assert.True(await watch.MoveNextAsync());
        Assert.Equal(["one"], NamesOf(watch.Current));

        var next = watch.MoveNextAsync().AsTask();
        await RegisterAsync("one", "10.0.0.2:80");
        await Eventually.IsTrue(async () => (await directory.ListServicesAsync()).Services[0].Instances.Count == 2);
        Assert.False(next.IsCompleted);

        await RegisterAsync("two", "10.0.0.3:80");
        Assert.True(await next.WaitAsync(TimeSpan.FromSeconds(10)));
        Assert.Equal(["one", "two"], NamesOf(watch.Current));

        next = watch.MoveNextAsync().AsTask();
        await Client.DeleteAsync("services/two/10.0.0.3:80");
        Assert.True(await next.WaitAsync(TimeSpan.FromSeconds(10)));
        Assert.Equal(["one"], NamesOf(watch.Current));
    }

    [Fact]
    public async Task A_watch_ends_with_its_token_and_with_the_application()
    {
        var app = Build([]);
        var directory = app.Services.GetRequiredService<IServiceDirectory>();
        using var stop = new CancellationTokenSource();
        await using var cancelled = directory.WatchServicesAsync(stop.Token).GetAsyncEnumerator();
        await using var last = directory.WatchServicesAsync().GetAsyncEnumerator();
        Assert.True(await cancelled.MoveNextAsync());
        Assert.True(await last.MoveNextAsync());

        var next = cancelled.MoveNextAsync().AsTask();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next);

        var end = last.MoveNextAsync().AsTask();
        await app.DisposeAsync();
        Assert.False(await end.WaitAsync(TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public async Task An_outage_leaves_the_last_list_and_a_start_without_etcd_says_so()
    {
        await RegisterAsync("one", "10.0.0.1:80");
        var directory = Read();
        await directory.ListServicesAsync();
        Etcd.Pause();
        Etcd.DropConnections();

        Assert.Equal(["one"], NamesOf(await directory.ListServicesAsync()));
        var late = Read(("Etcd:Discovery:ReadyTimeout", "00:00:00.3"));
        var failure = await Assert.ThrowsAsync<ServiceDiscoveryException>(async () => await late.ListServicesAsync());
        Assert.Contains("'services/'", failure.Message, StringComparison.Ordinal);
        Assert.Contains(Etcd.Endpoint, failure.Message, StringComparison.Ordinal);
        using var stop = new CancellationTokenSource();
        var waiting = Read().ListServicesAsync(stop.Token).AsTask();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);

        Etcd.Resume();
        await Eventually.IsTrue(async () => NamesOf(await late.ListServicesAsync()).SequenceEqual(["one"]));
        await RegisterAsync("two", "10.0.0.2:80");
        await Eventually.IsTrue(async () => NamesOf(await directory.ListServicesAsync()).SequenceEqual(["one", "two"]));
    }

    [Fact]
    public async Task All_who_look_share_one_watch_which_ends_when_nobody_has_looked_for_a_while()
    {
        var time = new FakeTimeProvider();
        var source = new CountingSource(Client);
        var app = Build([], services =>
        {
            services.AddSingleton<IServiceSource>(source);
            services.AddKeyedSingleton<TimeProvider>(EtcdServiceKeys.TimeProvider, time);
        });
        var directory = app.Services.GetRequiredService<IServiceDirectory>();
        Assert.Equal(0, source.Following);

        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => directory.ListServicesAsync().AsTask()));
        await using (var watch = directory.WatchServicesAsync().GetAsyncEnumerator())
        {
            Assert.True(await watch.MoveNextAsync());
            Assert.Equal((1, 1), (source.Following, source.Followed));

            time.Advance(2 * ServiceDirectory.IdleTime);
            Assert.Equal(1, source.Following);
        }

        time.Advance(2 * ServiceDirectory.IdleTime);
        await Eventually.IsTrue(() => source.Following == 0);
        await directory.ListServicesAsync();
        Assert.Equal((1, 2), (source.Following, source.Followed));
    }

    [Fact]
    public async Task The_services_of_all_clusters_are_one_list_and_each_cluster_has_its_own()
    {
        await using var other = await EmbeddedEtcdServer.StartAsync();
        await using var there = new EtcdClient(new EtcdClientOptions { Endpoints = [other.Endpoint] });
        await RegisterAsync("greeter", "10.0.0.1:80");
        await there.PutAsync("services/greeter/10.0.0.2:80", Encoding.UTF8.GetBytes("""{"Addr":"10.0.0.2:80"}"""));
        var app = Build([("Etcd:Clusters:dc2:Endpoints", other.Endpoint)], static s => s.AddKeyedEtcdClient("dc2"));

        var all = await app.Services.GetRequiredService<IServiceDirectory>().ListServicesAsync();
        var one = await app.Services.GetRequiredKeyedService<IServiceDirectory>("dc2").ListServicesAsync();

        Assert.Equal([null, "dc2"], all.Services.Select(static s => s.Cluster));
        Assert.Equal("10.0.0.2:80", Assert.Single(Assert.Single(one.Services).Instances).Address);

        await using var watch = app.Services.GetRequiredService<IServiceDirectory>().WatchServicesAsync().GetAsyncEnumerator();
        Assert.True(await watch.MoveNextAsync());
        Assert.Equal(2, watch.Current.Services.Count);
        var next = watch.MoveNextAsync().AsTask();
        await there.PutAsync("services/user/10.0.0.3:80", Encoding.UTF8.GetBytes("""{"Addr":"10.0.0.3:80"}"""));
        Assert.True(await next.WaitAsync(TimeSpan.FromSeconds(10)));
        Assert.Equal(["greeter", "greeter", "user"], NamesOf(watch.Current));
    }

    [Fact]
    public async Task Only_a_named_cluster_is_asked_where_the_default_one_has_no_endpoints()
    {
        await RegisterAsync("greeter", "10.0.0.1:80");
        var app = Build([("Etcd:Endpoints", ""), ("Etcd:Clusters:dc2:Endpoints", Etcd.Endpoint)], static s => s.AddKeyedEtcdClient("dc2"));

        var listing = await app.Services.GetRequiredService<IServiceDirectory>().ListServicesAsync();

        Assert.Equal("dc2", Assert.Single(listing.Services).Cluster);
    }

    [Fact]
    public async Task A_layout_of_ones_own_is_listed_when_it_says_its_root_and_costs_nothing_when_it_throws()
    {
        await PutAsync("mine:greeter:1", "10.0.0.1:80");
        await PutAsync("mine:throw:1", "10.0.0.1:80");
        await PutAsync("mine:lie:1", "10.0.0.1:80");
        var app = Build([("Etcd:Discovery:Layout", "Mine, Silent")], static s => s
            .AddSingleton<IServiceLayout>(new ColonLayout("Mine", "mine:"))
            .AddSingleton<IServiceLayout>(new ColonLayout("Silent", null)));

        var listing = await app.Services.GetRequiredService<IServiceDirectory>().ListServicesAsync();

        Assert.Equal(["greeter"], NamesOf(listing));
        Assert.Equal(2, listing.SkippedRecords);
        Assert.Equal(["Silent"], listing.UnlistedLayouts);
    }

    [Fact]
    public async Task A_fake_that_knows_nothing_of_it_lists_what_it_has()
    {
        IServiceDirectory fake = new FakeDirectory();

        Assert.Empty((await fake.ListServicesAsync()).Services);
        await using var watch = fake.WatchServicesAsync().GetAsyncEnumerator();
        Assert.True(await watch.MoveNextAsync());
    }

    /// <summary>Counts who follows.</summary>
    private sealed class CountingSource(EtcdClient client) : IServiceSource
    {
        private int _following;
        private int _followed;

        public int Following => Volatile.Read(ref _following);

        public int Followed => Volatile.Read(ref _followed);

        public IReadOnlyList<Uri> Endpoints => client.Endpoints;

        public Task<EtcdListing> ListAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken) => throw new NotSupportedException();

        public IServiceWatch Watch(string prefix, long startRevision, ulong clusterId) => throw new NotSupportedException();

        public async IAsyncEnumerable<EtcdPrefixSnapshot> FollowAsync(
            string prefix, EtcdFollowOptions options, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _following);
            Interlocked.Increment(ref _followed);
            try
            {
                await foreach (var snapshot in client.FollowAsync(prefix, options, cancellationToken))
                {
                    yield return snapshot;
                }
            }
            finally
            {
                Interlocked.Decrement(ref _following);
            }
        }
    }

    /// <summary>Keys such as <c>mine:greeter:1</c>.</summary>
    private sealed class ColonLayout(string name, string? root) : IServiceLayout
    {
        public string Name => name;

        public bool SupportsDraining => false;

        public string? RootPrefix => root;

        public string GetPrefix(string serviceName) => $"{root}{serviceName}:";

        public string GetKey(string serviceName, string address) => GetPrefix(serviceName) + address;

        public string? GetServiceName(string key) => key.Split(':')[1] switch
        {
            "throw" => throw new InvalidOperationException("hostile"),
            "lie" => "other",
            var service => service,
        };

        public byte[]? Write(ServiceInstance instance) => null;

        public bool TryRead(
            string serviceName, EtcdKeyValue record, [NotNullWhen(true)] out ServiceInstance? instance, [NotNullWhen(false)] out string? problem)
        {
            problem = null;
            instance = new ServiceInstance { Key = record.Key, ServiceName = serviceName, Host = "10.0.0.1", Port = 80 };
            return true;
        }
    }
}
