using System.Net;
using Discovery.AspNetCore.Registration.Addresses;

namespace Discovery.AspNetCore.Tests.Registration.Addresses;

/// <summary>A machine with these addresses; the routes say by which of them it reaches a host.</summary>
internal sealed class FakeLocalAddresses(params string[] all) : LocalAddresses
{
    public Dictionary<string, string[]> Routes { get; } = [];

    public override IEnumerable<IPAddress> All => all.Select(IPAddress.Parse);

    public override Task<IReadOnlyList<IPAddress>> TowardsAsync(Uri remote, CancellationToken cancellationToken)
        => Task.FromResult<IReadOnlyList<IPAddress>>(
            Routes.TryGetValue(remote.Host, out var addresses) ? [.. addresses.Select(IPAddress.Parse)] : []);
}
