using System.Net;
using System.Net.NetworkInformation;
using Discovery.AspNetCore;
using Discovery.AspNetCore.Registration.Addresses;
using Discovery.IntegrationTests.Etcd;
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
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, configure: builder =>
        {
            builder.WebHost.UseUrls("http://*:0");
            builder.Services.AddSingleton<LocalAddresses>(machine);
        });
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
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, "AllowLoopback=false;Endpoints:nobody:Enabled=true", builder =>
        {
            builder.WebHost.UseUrls("http://*:0", "http://127.0.0.1:0");
            builder.Services.AddSingleton<LocalAddresses>(machine);
        });

        await Eventually.IsTrue(() => machine.Looks >= 4);

        Assert.Single(app.Log.At(LogLevel.Warning), line => line.Contains("this machine only", StringComparison.Ordinal));
        Assert.Single(app.Log.At(LogLevel.Warning), line => line.Contains("nobody", StringComparison.Ordinal));

        app.Reload("Weight=5");
        await Eventually.IsTrue(() => app.Log.At(LogLevel.Warning).Count(line => line.Contains("nobody", StringComparison.Ordinal)) == 2);
    }

    [Fact]
    public async Task A_look_that_fails_is_not_the_last()
    {
        var machine = new Machine { Addresses = ["172.17.0.1"] };
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, configure: builder =>
        {
            builder.WebHost.UseUrls("http://*:0");
            builder.Services.AddSingleton<LocalAddresses>(machine);
        });

        machine.IsChanging = true;
        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Warning, "could not be looked at"));
        machine.Route = "10.0.0.7";
        machine.IsChanging = false;

        await Eventually.IsTrue(() => app.Keys is [var only] && only.StartsWith($"services/{_service}/10.0.0.7:", StringComparison.Ordinal));
    }

    private sealed class Machine : LocalAddresses
    {
        private int _looks;

        public int Looks => _looks;

        /// <summary>An interface goes while the system tells its addresses.</summary>
        public bool IsChanging { get; set; }

        public IReadOnlyList<string> Addresses { get; set; } = [];

        public string? Route { get; set; }

        public override IEnumerable<IPAddress> All
            => IsChanging ? throw new NetworkInformationException() : Addresses.Select(IPAddress.Parse);

        public override Task<IReadOnlyList<IPAddress>> TowardsAsync(Uri remote, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _looks);
            return Task.FromResult<IReadOnlyList<IPAddress>>(Route is { } route ? [IPAddress.Parse(route)] : []);
        }
    }
}
