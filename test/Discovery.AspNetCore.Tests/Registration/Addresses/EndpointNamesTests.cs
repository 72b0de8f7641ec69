using Discovery.AspNetCore.Registration.Addresses;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Tests.Registration.Addresses;

public sealed class EndpointNamesTests
{
    [Theory]
    [InlineData("A=http://*:80;B=https://*:81", "http://[::]:80;https://[::]:81", "A;B")]
    [InlineData("A=http://*:0;B=https://*:0", "http://[::]:80;https://[::]:81", "A;B")]
    [InlineData("A=http://127.0.0.1:80;B=http://10.0.0.1:80", "http://10.0.0.1:80;http://127.0.0.1:80", "B;A")]
    [InlineData("A=http://*:0;B=http://*:0", "http://[::]:4001;http://[::]:4000", "A;B")]
    [InlineData("A=http://*:0;B=http://*:80;C=http://*:0", "http://[::]:4001;http://[::]:80;http://[::]:4000", "A;B;C")]
    [InlineData("A=http://*:0;B=http://*:0", "http://[::]:4001;http://[::]:4000;http://[::]:4002", "http;http;http")]
    [InlineData("A=http://*:0;B=http://unix:/run/b;C=http://*:0", "http://[::]:4001;http://[::]:4000", "A;C")]
    [InlineData("A=https://*:80", "http://[::]:80", "http")]
    [InlineData("A=nonsense", "http://[::]:80", "http")]
    [InlineData("", "HTTPS://[::]:80", "https")]
    public void An_endpoint_has_its_configured_name_if_that_is_certain(string configured, string bound, string names)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(configured
            .Split(';', StringSplitOptions.RemoveEmptyEntries)
            .Select(e => new KeyValuePair<string, string?>($"Kestrel:Endpoints:{e.Split('=')[0]}:Url", e.Split('=')[1])));

        Assert.Equal(names.Split(';'), new EndpointNames(configuration.Build()).Match([.. bound.Split(';').Select(BindingAddress.Parse)]));
    }
}
