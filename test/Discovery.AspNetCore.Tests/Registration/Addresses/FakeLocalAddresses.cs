using System.Net;
using System.Net.NetworkInformation;
using Discovery.AspNetCore.Registration.Addresses;

namespace Discovery.AspNetCore.Tests.Registration.Addresses;

/// <summary>A machine with these addresses; the routes say by which of them it reaches a host.</summary>
internal sealed class FakeLocalAddresses(params string[] all) : LocalAddresses
{
    /// <summary>The addresses, in the system's order.</summary>
    public IReadOnlyList<string> Addresses { get; set; } = all;

    /// <summary>An interface goes while the system tells its addresses.</summary>
    public bool IsChanging { get; set; }

    public Dictionary<string, string[]> Routes { get; } = [];

    public override IEnumerable<IPAddress> All => IsChanging ? throw new NetworkInformationException() : Addresses.Select(IPAddress.Parse);

    public override Task<IReadOnlyList<IPAddress>> TowardsAsync(Uri remote, CancellationToken cancellationToken)
        => Task.FromResult<IReadOnlyList<IPAddress>>(
            Routes.TryGetValue(remote.Host, out var addresses) ? [.. addresses.Select(IPAddress.Parse)] : []);
}
