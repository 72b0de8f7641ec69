using System.Net;
using Discovery.AspNetCore.Connections;

namespace Discovery.AspNetCore.Tests.Connections;

public sealed class AddressFilterTests
{
    [Theory]
    [InlineData("169.254.169.254")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("100.100.100.200")]
    [InlineData("168.63.129.16")]
    [InlineData("192.0.0.192")]
    [InlineData("0.0.0.1")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("::")]
    [InlineData("fe80::1")]
    [InlineData("fd00:ec2::254")]
    [InlineData("fd20:ce::254")]
    [InlineData("ff02::1")]
    public void Link_local_metadata_and_multicast_addresses_are_refused_unless_allowed_explicitly(string address)
    {
        var ip = IPAddress.Parse(address);

        Assert.False(new AddressFilter(new EtcdDiscoveryOptions()).Allows(ip));
        var plain = ip.IsIPv4MappedToIPv6 ? ip.MapToIPv4() : ip;
        Assert.True(new AddressFilter(new EtcdDiscoveryOptions { AllowedNetworks = [$"{plain}/{(plain.GetAddressBytes().Length * 8)}"] }).Allows(ip));
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("127.8.8.8")]
    [InlineData("::1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("64:ff9b::7f00:1")]
    [InlineData("::127.0.0.1")]
    [InlineData("2002:7f00:0001::1")]
    public void Loopback_is_refused_unless_etcd_is_local_or_it_is_allowed(string address)
    {
        var ip = IPAddress.Parse(address);

        Assert.False(new AddressFilter(new EtcdDiscoveryOptions()).Allows(ip));
        Assert.True(new AddressFilter(new EtcdDiscoveryOptions(), isSourceLocal: true).Allows(ip));
        Assert.True(new AddressFilter(new EtcdDiscoveryOptions { AllowLoopback = true }).Allows(ip));
        Assert.True(new AddressFilter(new EtcdDiscoveryOptions { AllowedNetworks = ["127.0.0.0/8", "::1/128", "64:ff9b::/96", "::/96", "2002::/16"] }).Allows(ip));
    }

    [Theory]
    [InlineData("64:ff9b::a9fe:a9fe", false)]
    [InlineData("64:ff9b:1::a9fe:a9fe", false)]
    [InlineData("::169.254.169.254", false)]
    [InlineData("2002:a9fe:a9fe::1", false)]
    [InlineData("64:ff9b::10.0.0.1", true)]
    [InlineData("2002:0a00:0001::1", true)]
    [InlineData("2001:db8::1", true)]
    [InlineData("fd00::1", true)]
    public void An_address_within_an_address_is_judged_too(string address, bool isAllowed)
        => Assert.Equal(isAllowed, new AddressFilter(new EtcdDiscoveryOptions()).Allows(IPAddress.Parse(address)));

    [Theory]
    [InlineData("169.254.169.254")]
    [InlineData("0xa9fea9fe")]
    [InlineData("0xa9.0xfe.0xa9.0xfe")]
    [InlineData("0251.0376.0251.0376")]
    [InlineData("2852039166")]
    [InlineData("169.254.43518")]
    [InlineData("127.1")]
    [InlineData("0x7f000001")]
    [InlineData("2130706433")]
    [InlineData("::ffff:a9fe:a9fe")]
    [InlineData("fe80::1%1")]
    [InlineData("::1%1")]
    [InlineData("localhost")]
    [InlineData("LocalHost.")]
    [InlineData("shop.localhost")]
    public void A_host_is_judged_as_what_it_is_dialled_as_however_it_is_written(string host)
        => Assert.False(new AddressFilter(new EtcdDiscoveryOptions()).Allows(new ServiceInstance { Key = "k", ServiceName = "s", Host = host, Port = 80 }));

    [Theory]
    [InlineData("localhost")]
    [InlineData("shop.localhost")]
    public void A_name_of_loopback_is_allowed_where_loopback_is(string host)
    {
        var instance = new ServiceInstance { Key = "k", ServiceName = "s", Host = host, Port = 80 };

        Assert.True(new AddressFilter(new EtcdDiscoveryOptions(), isSourceLocal: true).Allows(instance));
        Assert.True(new AddressFilter(new EtcdDiscoveryOptions { AllowedNetworks = ["::1/128"] }).Allows(instance));
        Assert.True(new AddressFilter(new EtcdDiscoveryOptions { Instances = ["localhost:80"] }).Allows(instance));
        Assert.False(new AddressFilter(new EtcdDiscoveryOptions { AllowedNetworks = ["10.0.0.0/8"] }).Allows(instance));
    }

    [Theory]
    [InlineData("10.1.2.3", true)]
    [InlineData("::ffff:10.1.2.3", true)]
    [InlineData("11.1.2.3", false)]
    [InlineData("fd00::1", false)]
    public void Allowed_networks_allow_nothing_else(string address, bool isAllowed)
        => Assert.Equal(isAllowed, new AddressFilter(new EtcdDiscoveryOptions { AllowedNetworks = ["10.0.0.0/8"] }).Allows(IPAddress.Parse(address)));

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    [InlineData("169.254.1.1")]
    public void Instances_of_the_settings_may_be_anywhere_unless_networks_are_named(string address)
    {
        var ip = IPAddress.Parse(address);

        Assert.True(new AddressFilter(new EtcdDiscoveryOptions { Instances = [$"{address}:80"] }).Allows(ip));
        Assert.False(new AddressFilter(new EtcdDiscoveryOptions { Instances = [$"{address}:80"], AllowedNetworks = ["10.0.0.0/8"] }).Allows(ip));
    }

    [Theory]
    [InlineData(5000, true)]
    [InlineData(8000, true)]
    [InlineData(8999, true)]
    [InlineData(9000, false)]
    public void Allowed_ports_allow_nothing_else(int port, bool isAllowed)
        => Assert.Equal(isAllowed, new AddressFilter(new EtcdDiscoveryOptions { AllowedPorts = ["5000", "8000-8999"] }).Allows(port));

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("65536")]
    [InlineData("9-8")]
    [InlineData("a-b")]
    [InlineData("-1")]
    public void What_is_no_range_of_ports_is_none(string text) => Assert.False(AddressFilter.TryParsePorts(text, out _));
}
