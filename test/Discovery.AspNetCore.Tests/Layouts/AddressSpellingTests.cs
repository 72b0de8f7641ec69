using System.Net;
using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Tests.Calls;
using Discovery.Etcd.Connections;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Tests.Layouts;

/// <summary>One server is one instance, however its name is written.</summary>
public sealed class AddressSpellingTests
{
    [Theory]
    [InlineData("host.example:80", "host.example")]
    [InlineData("HOST.example:80", "host.example")]
    [InlineData("host.example.:80", "host.example")]
    [InlineData("HTTP://Host.Example.:80/", "host.example")]
    [InlineData("LOCALHOST.:80", "localhost")]
    [InlineData("[FD00::7]:80", "fd00::7")]
    public void A_host_has_one_spelling(string address, string host)
    {
        Assert.True(ServiceAddress.TryParse(address, out var parsed, out var problem), problem);
        Assert.Equal(host, parsed.Host);
    }

    [Theory]
    [InlineData("10.0.0.1.:80")]
    [InlineData("0.0.0.0.:80")]
    [InlineData("010.0.0.1.:80")]
    [InlineData("2852039166.:80")]
    [InlineData(".:80")]
    [InlineData("host.example..:80")]
    public void No_dot_makes_an_address_of_what_is_none(string address)
    {
        Assert.False(ServiceAddress.TryParse(address, out _, out var problem));
        Assert.Equal($"'{address}' has no valid host", problem);
    }

    [Theory]
    [InlineData("EtcdNaming", """{"Addr":"ADDRESS"}""")]
    [InlineData("GoZero", "ADDRESS")]
    [InlineData("OpenIm", "ADDRESS")]
    [InlineData("Kitex", """{"network":"tcp","address":"ADDRESS"}""")]
    [InlineData("Kratos", """{"name":"svc","endpoints":["http://ADDRESS"]}""")]
    public async Task Several_spellings_are_one_instance_which_is_looked_up_as_its_newest_record_has_it(string layout, string value)
    {
        var asked = new List<string>();
        await using var harness = new Harness(
            settings: ("Etcd:Discovery:Layout", layout),
            services: s => s.AddSingleton(new HostResolver((name, _) =>
            {
                lock (asked)
                {
                    asked.Add(name);
                }

                return Task.FromResult<IPAddress[]>([IPAddress.Loopback]);
            })));
        await using var server = await BackendServer.StartAsync();
        var port = server.Address.Split(':')[1];
        var prefix = new LayoutCatalog([]).Parse(layout)[0].GetPrefix("svc");
        foreach (var (key, host) in new[] { ("a", "HOST.example"), ("b", "host.example"), ("c", "Host.Example.") })
        {
            harness.Etcd.Put(prefix + key, Encoding.UTF8.GetBytes(value.Replace("ADDRESS", $"{host}:{port}", StringComparison.Ordinal)));
        }

        using var client = harness.Client();
        await client.GetStringAsync("x");

        Assert.Equal($"host.example:{port}", Assert.Single(harness.Pool.Current!.Instances).Record.Address);
        Assert.Equal(["host.example."], asked);
    }
}
