using System.Net;
using System.Net.NetworkInformation;
using Discovery.AspNetCore;
using Discovery.AspNetCore.Registration.Addresses;
using Discovery.IntegrationTests.Etcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>The machine's network, or the name of etcd, comes up after the application.</summary>
public sealed class LateNetworkTests(OneNode node) : IClassFixture<OneNode>
{
    private readonly string _service = NewService();

    [Fact]
    public async Task An_application_is_registered_when_there_is_a_network_and_by_the_address_of_the_route_towards_etcd_when_there_is_one()
    {
        var machine = new Machine();
        await using var client = node.Connect();
        await using var app = await StartAsync(machine);
        Assert.Equal(ServiceRegistrationState.NoAddress, app.State);

        machine.Addresses = ["172.17.0.1", "10.0.0.7"];
        await app.ReachAsync(ServiceRegistrationState.Registered);
        Assert.StartsWith($"services/{_service}/172.17.0.1:", Assert.Single(app.Keys), StringComparison.Ordinal);

        machine.Route = "10.0.0.7";
        await Eventually.IsTrue(async () => await client.RecordsAsync(_service) is [var only]
            && only.Key.StartsWith($"services/{_service}/10.0.0.7:", StringComparison.Ordinal));

        // It was said once that there was nothing to advertise, and a look that changes nothing is not worth a word.
        Assert.Single(app.Log.At(LogLevel.Error));
    }

    [Fact]
    public async Task What_is_wrong_is_said_once_however_often_is_looked()
    {
        var machine = new Machine { Addresses = ["172.17.0.1"] };
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, "AllowLoopback=false;Endpoints:http:Enabled=true;Endpoints:nobody:Enabled=true;PreferredNetworks=10.0.0.0/8", builder =>
        {
            builder.WebHost.UseUrls("http://*:0", "http://127.0.0.1:0");
            builder.Services.AddSingleton<LocalAddresses>(machine);
        });

        await Eventually.IsTrue(() => machine.Looks >= 4);

        Assert.Single(app.Log.At(LogLevel.Warning), line => line.Contains("this machine only", StringComparison.Ordinal));
        AssertSaidOnce();

        // A file is reloaded for whatever changes in it.
        var before = machine.Looks;
        app.Reload("");
        await Eventually.IsTrue(() => machine.Looks >= before + 3);
        AssertSaidOnce();

        app.Reload("Weight=5");
        await Eventually.IsTrue(() => app.Log.At(LogLevel.Warning).Count(line => line.Contains("nobody", StringComparison.Ordinal)) == 2);

        void AssertSaidOnce() => Assert.All(
            (string[])["nobody", "PreferredNetworks is '10.0.0.0/8'"],
            text => Assert.Single(app.Log.At(LogLevel.Warning), line => line.Contains(text, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task What_is_wrong_with_an_edit_is_said_once_for_the_same_settings()
    {
        var machine = new Machine { Addresses = ["10.0.0.7"], Route = "10.0.0.7" };
        await using var app = await StartAsync(machine);

        app.Reload("AdvertisedHost=localhost;AllowLoopback=false");
        await Eventually.IsTrue(() => NotUsed() == 1);
        app.Reload("");
        app.Reload("Weight=5");
        await Eventually.IsTrue(() => NotUsed() == 2);

        app.Reload("AllowLoopback=true");
        await Eventually.IsTrue(() => app.Keys is [var only] && only.StartsWith($"services/{_service}/localhost:", StringComparison.Ordinal));
        app.Reload("AllowLoopback=false");
        await Eventually.IsTrue(() => NotUsed() == 3);

        int NotUsed() => app.Log.At(LogLevel.Error).Count(static line => line.Contains("settings are not used", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_preferred_network_is_taken_when_it_comes_up_and_again_when_it_was_away_but_a_mere_change_of_routes_moves_nothing()
    {
        var machine = new Machine { Addresses = ["192.168.1.7", "192.168.1.8"], Route = "192.168.1.7" };
        await using var app = await StartAsync(machine, "PreferredNetworks=10.9.0.0/16,10.8.0.0/16");
        await StandsAtAsync(app, "192.168.1.7");

        machine.Route = "192.168.1.8";
        await LooksTwiceAsync(machine);
        await StandsAtAsync(app, "192.168.1.7");

        foreach (var address in (string[])["10.8.0.5", "10.8.0.6"])
        {
            machine.Addresses = ["192.168.1.7", "192.168.1.8", address];
            await StandsAtAsync(app, address);
            machine.Addresses = ["192.168.1.7", "192.168.1.8"];
            await StandsAtAsync(app, "192.168.1.8");
        }

        // One that is preferred to the one that is preferred is awaited too.
        machine.Addresses = ["192.168.1.8", "10.8.0.5"];
        await StandsAtAsync(app, "10.8.0.5");
        machine.Addresses = ["192.168.1.8", "10.8.0.5", "10.9.0.5"];
        await StandsAtAsync(app, "10.9.0.5");
        Assert.Equal(2, app.Log.At(LogLevel.Warning).Count(static line => line.Contains("PreferredNetworks", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("10.0.0.8")]
    [InlineData(null)]
    public async Task An_address_that_was_away_is_taken_again_when_the_machine_has_it_back(string? routeMeanwhile)
    {
        var machine = new Machine { Addresses = ["10.0.0.8", "10.0.0.7"], Route = "10.0.0.7" };
        await using var app = await StartAsync(machine);
        await StandsAtAsync(app, "10.0.0.7");

        (machine.Addresses, machine.Route) = (["10.0.0.8"], routeMeanwhile);
        await StandsAtAsync(app, "10.0.0.8");
        await LooksTwiceAsync(machine);

        machine.Addresses = ["10.0.0.8", "10.0.0.7"];
        await StandsAtAsync(app, "10.0.0.7");

        // It is where it was, and goes by routes no more than before.
        machine.Route = "10.0.0.8";
        await LooksTwiceAsync(machine);
        await StandsAtAsync(app, "10.0.0.7");
    }

    [Fact]
    public async Task Where_etcd_is_reached_by_loopback_the_first_default_route_decides()
    {
        var machine = new Machine { Addresses = ["127.0.0.1", "172.17.0.1"], EtcdRoute = "127.0.0.1" };
        await using var app = await StartAsync(machine);
        await StandsAtAsync(app, "172.17.0.1");

        (machine.Addresses, machine.Route) = (["127.0.0.1", "172.17.0.1", "10.0.0.7", "10.0.0.8"], "10.0.0.7");
        await StandsAtAsync(app, "10.0.0.7");

        machine.Route = "10.0.0.8";
        await LooksTwiceAsync(machine);
        await StandsAtAsync(app, "10.0.0.7");
    }

    [Fact]
    public async Task A_look_that_fails_is_not_the_last()
    {
        var machine = new Machine { Addresses = ["172.17.0.1"] };
        await using var app = await StartAsync(machine);

        machine.IsChanging = true;
        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Warning, "could not be looked at"));
        machine.Route = "10.0.0.7";
        machine.IsChanging = false;

        await Eventually.IsTrue(() => app.Keys is [var only] && only.StartsWith($"services/{_service}/10.0.0.7:", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_address_follows_the_machine_but_not_a_mere_change_of_routes_and_the_new_key_stands_before_the_old_one_goes()
    {
        var machine = new Machine { Addresses = ["127.0.0.1", "10.0.0.7"], Route = "10.0.0.7" };
        await using var client = node.Connect();
        await using var app = await StartAsync(machine);
        var old = Assert.Single(app.Keys);
        await using var watch = client.Watch($"services/{_service}/", (await client.GetAsync(old))!.ModRevision);
        var log = WatchLog.Follow(watch);

        (machine.Addresses, machine.Route) = (["127.0.0.1", "10.0.0.7", "10.0.0.8"], "10.0.0.8");
        var before = machine.Reads;
        await Eventually.IsTrue(() => machine.Reads >= before + 2);
        Assert.Equal(old, Assert.Single(app.Keys));

        machine.Addresses = ["127.0.0.1", "10.0.0.8"];
        await Eventually.IsTrue(() => log.Events.Any(e => e.Deleted));
        var moved = Assert.Single(app.Keys);
        Assert.StartsWith($"services/{_service}/10.0.0.8:", moved, StringComparison.Ordinal);
        Assert.Equal([("put", old), ("put", moved), ("draining", old), ("delete", old)], log.Story());
        Assert.DoesNotContain(app.Log.Lines, line => line.StartsWith("Warning", StringComparison.Ordinal) || line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_machine_whose_only_address_is_away_for_a_moment_goes_on_with_it()
    {
        var machine = new Machine { Addresses = ["10.0.0.7"], Route = "10.0.0.7" };
        await using var app = await StartAsync(machine);
        var key = Assert.Single(app.Keys);

        (machine.Addresses, machine.Route) = ([], null);
        var before = machine.Looks;
        await Eventually.IsTrue(() => machine.Looks >= before + 2);

        Assert.Equal(key, Assert.Single(app.Keys));
        Assert.Equal(ServiceRegistrationState.Registered, app.State);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_machine_that_does_not_tell_its_addresses_starts_and_is_registered_where_a_route_or_a_later_look_tells_them(bool hasRoute)
    {
        var machine = new Machine { IsChanging = true, Route = hasRoute ? "10.0.0.7" : null };
        await using var app = TestApp.Build(node.Etcd.Endpoint, _service, configure: builder => Use(builder, machine));
        await app.StartAsync();
        if (!hasRoute)
        {
            await app.ReachAsync(ServiceRegistrationState.NoAddress);
            Assert.True(app.Log.Has(LogLevel.Error, "could not be read", "Etcd:Registration:AdvertisedHost"));
            machine.Addresses = ["10.0.0.7"];
            machine.IsChanging = false;
        }

        await app.ReachAsync(ServiceRegistrationState.Registered);
        Assert.StartsWith($"services/{_service}/10.0.0.7:", Assert.Single(app.Keys), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_slow_name_server_delays_no_start()
    {
        var machine = new Machine { Hangs = true };
        await using var app = TestApp.Build(node.Etcd.Endpoint, _service, configure: builder => Use(builder, machine));

        await app.StartAsync().WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(ServiceRegistrationState.Registering, app.State);
        await app.StopAsync().WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(ServiceRegistrationState.Stopped, app.State);
    }

    private static void Use(WebApplicationBuilder builder, Machine machine)
    {
        builder.WebHost.UseUrls("http://*:0");
        builder.Services.AddSingleton<LocalAddresses>(machine);
    }

    private Task<TestApp> StartAsync(Machine machine, string settings = "")
        => TestApp.StartAsync(node.Etcd.Endpoint, _service, settings, builder => Use(builder, machine));

    private Task StandsAtAsync(TestApp app, string address) => Eventually.IsTrue(
        () => app.Keys is [var only] && only.StartsWith($"services/{_service}/{address}:", StringComparison.Ordinal),
        what: $"It stands at {address}, is {string.Join(", ", app.Keys)}");

    private static async Task LooksTwiceAsync(Machine machine)
    {
        var before = machine.Reads;
        await Eventually.IsTrue(() => machine.Reads >= before + 3);
    }

    private sealed class Machine : LocalAddresses
    {
        private int _looks;
        private int _reads;

        public int Looks => _looks;

        public int Reads => _reads;

        /// <summary>A name server does not answer.</summary>
        public bool Hangs { get; set; }

        /// <summary>An interface goes while the system tells its addresses.</summary>
        public bool IsChanging { get; set; }

        public IReadOnlyList<string> Addresses { get; set; } = [];

        public string? Route { get; set; }

        /// <summary>The one towards etcd, where it is another.</summary>
        public string? EtcdRoute { get; set; }

        public override IEnumerable<IPAddress> All
        {
            get
            {
                Interlocked.Increment(ref _reads);
                return IsChanging ? throw new NetworkInformationException() : Addresses.Select(IPAddress.Parse);
            }
        }

        public override async Task<IReadOnlyList<IPAddress>> TowardsAsync(Uri remote, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _looks);
            await Task.Delay(Hangs ? Timeout.InfiniteTimeSpan : TimeSpan.Zero, cancellationToken);
            return ((remote.IsLoopback ? EtcdRoute : null) ?? Route) is { } route ? [IPAddress.Parse(route)] : [];
        }
    }
}
