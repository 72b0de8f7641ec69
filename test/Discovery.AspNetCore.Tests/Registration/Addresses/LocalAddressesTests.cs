using System.Net;
using Discovery.AspNetCore.Registration.Addresses;

namespace Discovery.AspNetCore.Tests.Registration.Addresses;

public sealed class LocalAddressesTests
{
    [Fact]
    public async Task The_route_towards_loopback_is_loopback_and_a_name_that_does_not_resolve_has_none()
    {
        var machine = new LocalAddresses();

        Assert.Equal([IPAddress.Loopback], await machine.TowardsAsync(new Uri("http://127.0.0.1:2379"), default));
        Assert.Empty(await machine.TowardsAsync(new Uri("http://nobody.invalid:2379"), default));
        Assert.Contains(IPAddress.Loopback, machine.All);
    }
}
