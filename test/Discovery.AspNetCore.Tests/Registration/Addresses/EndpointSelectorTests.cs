using Discovery.AspNetCore.Registration.Addresses;

namespace Discovery.AspNetCore.Tests.Registration.Addresses;

public sealed class EndpointSelectorTests
{
    private static readonly AdvertisedEndpoint Grpc = new("Grpc", "http", "10.0.0.1", 5000) { Protocols = "h2" };
    private static readonly AdvertisedEndpoint Web = new("Web", "http", "10.0.0.1", 5001) { Protocols = "h1" };
    private static readonly AdvertisedEndpoint Extra = new("Extra", "http", "10.0.0.1", 5002) { Protocols = "h1" };
    private static readonly AdvertisedEndpoint Secure = new("Secure", "https", "10.0.0.1", 5003) { Protocols = "h1" };
    private static readonly AdvertisedEndpoint Metrics = new("Metrics", "http", "10.0.0.1", 5004) { Protocols = "h1", IsPrivate = true };
    private static readonly AdvertisedEndpoint Local = new("Tool", "http", "127.0.0.1", 5005) { Protocols = "h1", IsPrivate = true };

    private readonly EtcdRegistrationOptions _options = new();
    private readonly RegisteredServiceOptions _service = new();

    [Fact]
    public void Endpoints_that_differ_in_protocol_or_scheme_are_all_registered()
    {
        AdvertisedEndpoint[] all = [Grpc, Web, Secure];

        Assert.Equal(all, EndpointSelector.Select(_options, _service, all));
        Assert.Null(Problem(all));
    }

    [Theory]
    [InlineData("h2", "h1", "h1,h2")]
    [InlineData("h1,h2", "h1", "h1,h2")]
    [InlineData("h1", "h1", "h1")]
    [InlineData("h2", null, null)]
    public void Endpoints_behind_one_url_are_one_that_speaks_what_any_of_them_does(string one, string? other, string? both)
    {
        AdvertisedEndpoint[] all = [Grpc with { Port = 443, Protocols = one }, Web with { Port = 443, Protocols = other, IsShared = true }];

        Assert.Equal([all[0] with { Protocols = both, IsShared = true }], EndpointSelector.Select(_options, _service, all));
        Assert.Null(Problem(all));

        _service.Endpoints.Add("web");
        Assert.Equal([all[1]], EndpointSelector.Select(_options, _service, all));
    }

    [Fact]
    public void One_port_on_several_addresses_is_one_endpoint()
        => Assert.Null(Problem(Web, Web with { Name = "http", Host = "fd00::1" }));

    [Fact]
    public void Between_two_that_a_client_cannot_tell_apart_somebody_has_to_choose()
    {
        var problem = Problem(Grpc, Web, Extra);
        foreach (var part in (string[])["'shop'", "'Web' (http://10.0.0.1:5001, h1)", "'Extra'", "Etcd:Registration:Endpoints", "Etcd:Registration:Services:shop:Endpoints"])
        {
            Assert.Contains(part, problem, StringComparison.Ordinal);
        }

        Assert.DoesNotContain("'Grpc'", problem, StringComparison.Ordinal);
        _options.Endpoints["web"] = new RegisteredEndpointOptions();
        Assert.NotNull(Problem(Grpc, Web, Extra));
        _options.Endpoints["extra"] = new RegisteredEndpointOptions();
        Assert.Null(Problem(Grpc, Web, Extra));
    }

    [Fact]
    public void Two_that_have_one_name_are_to_be_named_first()
    {
        AdvertisedEndpoint[] ofPorts = [Web with { Name = "http" }, Extra with { Name = "http" }];

        Assert.Contains("Kestrel:Endpoints:Web:Url to http://*:5001", Problem(ofPorts), StringComparison.Ordinal);
        Assert.DoesNotContain("Kestrel:Endpoints:Web:Url", Problem(Web, Extra), StringComparison.Ordinal);
    }

    [Fact]
    public void A_service_that_names_its_endpoints_has_chosen()
    {
        _service.Endpoints.Add("web");

        Assert.Null(Problem(Web, Extra));
        Assert.Equal([Web], EndpointSelector.Select(_options, _service, [Web, Extra]));
    }

    [Fact]
    public void Urls_that_are_set_are_chosen()
        => Assert.Null(Problem(Web with { IsShared = true }, Extra with { IsShared = true }));

    [Fact]
    public void What_is_not_for_clients_is_registered_only_when_it_is_chosen()
    {
        AdvertisedEndpoint[] all = [Grpc, Metrics, Local];
        Assert.Equal([Grpc], EndpointSelector.Select(_options, _service, all));
        Assert.False(EndpointSelector.IsNamed(_options, "Tool"));

        _options.Endpoints["metrics"] = new RegisteredEndpointOptions();
        _service.Endpoints.Add("tool");
        _options.Services["tool"] = _service;
        Assert.True(EndpointSelector.IsNamed(_options, "Metrics"));
        Assert.True(EndpointSelector.IsNamed(_options, "Tool"));
        Assert.Equal([Local], EndpointSelector.Select(_options, _service, all));
        Assert.Equal([Grpc, Metrics], EndpointSelector.Select(_options, new RegisteredServiceOptions(), all));
    }

    private string? Problem(params AdvertisedEndpoint[] endpoints) => EndpointSelector.GetProblem(_options, "shop", _service, endpoints);
}
