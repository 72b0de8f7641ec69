using System.Diagnostics.CodeAnalysis;
using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Registration;
using Discovery.AspNetCore.Registration.Addresses;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Tests.Registration;

public sealed class RegistrationRecordTests
{
    private readonly EtcdRegistrationOptions _options = new() { ServiceName = "greeter" };
    private readonly List<AdvertisedEndpoint> _endpoints = [new("Grpc", "http", "10.0.0.1", 5000) { Protocols = "h2" }];

    [Fact]
    public void A_record_says_what_others_need_and_leaves_out_what_has_its_default()
        => Assert.Equal(
            ("services/greeter/10.0.0.1:5000", """{"Op":0,"Addr":"10.0.0.1:5000","Metadata":"{\"id\":\"i1\",\"scheme\":\"http\",\"endpoint\":\"Grpc\",\"protocols\":\"h2\"}"}"""),
            Assert.Single(Texts()));

    [Fact]
    public void Several_layouts_are_written_side_by_side()
    {
        _options.Layout = "EtcdNaming:openim/,OpenIm";

        Assert.Equal(
            [
                ("openim/greeter/10.0.0.1:5000", """{"Op":0,"Addr":"10.0.0.1:5000","Metadata":"{\"id\":\"i1\",\"scheme\":\"http\",\"endpoint\":\"Grpc\",\"protocols\":\"h2\"}"}"""),
                ("openim:///greeter/10.0.0.1:5000", "10.0.0.1:5000"),
            ],
            Texts());
    }

    [Fact]
    public void What_is_set_for_a_service_or_an_endpoint_wins_over_what_is_set_for_all()
    {
        _endpoints.Add(new("Web", "https", "fd00::1", 5001));
        _options.Weight = 20;
        _options.Zone = "eu-1";
        _options.Version = "1.0";
        _options.Tags.Add("blue");
        _options.Metadata["team"] = "a";
        _options.Metadata["cost"] = "low";
        _options.Endpoints["Web"] = new RegisteredEndpointOptions { Metadata = { ["team"] = "c" } };
        _options.Services["User"] = new RegisteredServiceOptions
        {
            Weight = 30, Version = "2.0", Tags = { "fast", "blue" }, Endpoints = { "web" }, Metadata = { ["team"] = "b", ["tier"] = "1" },
        };

        var texts = Texts().ToDictionary(t => t.Key, t => t.Value);
        Assert.Equal(3, texts.Count);
        Assert.Equal(
            """{"Op":0,"Addr":"10.0.0.1:5000","Metadata":"{\"id\":\"i1\",\"scheme\":\"http\",\"weight\":20,\"zone\":\"eu-1\",\"version\":\"1.0\",\"tags\":[\"blue\"],\"cost\":\"low\",\"endpoint\":\"Grpc\",\"protocols\":\"h2\",\"team\":\"a\"}"}""",
            texts["services/greeter/10.0.0.1:5000"]);
        Assert.Equal(
            """{"Op":0,"Addr":"[fd00::1]:5001","Metadata":"{\"id\":\"i1\",\"scheme\":\"https\",\"weight\":30,\"zone\":\"eu-1\",\"version\":\"2.0\",\"tags\":[\"blue\",\"fast\"],\"cost\":\"low\",\"endpoint\":\"Web\",\"team\":\"c\",\"tier\":\"1\"}"}""",
            texts["services/User/[fd00::1]:5001"]);
    }

    [Fact]
    public void A_weight_that_code_has_set_wins_over_all_settings()
    {
        _options.Services["User"] = new RegisteredServiceOptions { Weight = 30 };

        Assert.All(Texts(weight: 7), t => Assert.Contains("\\\"weight\\\":7,", t.Value, StringComparison.Ordinal));
    }

    [Fact]
    public void The_draining_value_says_that_the_instance_drains_where_the_layout_can()
    {
        _options.Layout = "EtcdNaming,OpenIm";

        var records = RegistrationRecord.Build(new DesiredRegistration(_options, _endpoints), new LayoutCatalog([]), "i1", weight: null);

        Assert.Contains("\\\"draining\\\":true", Encoding.UTF8.GetString(records["services/greeter/10.0.0.1:5000"].DrainingValue!), StringComparison.Ordinal);
        Assert.Null(records["openim:///greeter/10.0.0.1:5000"].DrainingValue);
    }

    [Fact]
    public void A_layout_without_metadata_has_only_what_speaks_http2_where_anything_does()
    {
        _options.Layout = "EtcdNaming,OpenIm";
        _endpoints.Add(new("Web", "http", "10.0.0.1", 5001) { Protocols = "h1" });
        Assert.Equal(
            ["openim:///greeter/10.0.0.1:5000", "services/greeter/10.0.0.1:5000", "services/greeter/10.0.0.1:5001"],
            Texts().Select(static t => t.Key).Order(StringComparer.Ordinal));

        _endpoints.RemoveAt(0);
        Assert.Contains("openim:///greeter/10.0.0.1:5001", Texts().Select(static t => t.Key));
    }

    [Fact]
    public void Replicas_with_one_url_have_a_key_each_where_the_layout_reads_the_address_from_the_value()
    {
        _options.Layout = "EtcdNaming,OpenIm,Keys";
        _endpoints[0] = new("https", "https", "shop.example", 443) { IsShared = true };

        Assert.Equal(
            ["keys/greeter/shop.example:443", "openim:///greeter/shop.example:443", "services/greeter/shop.example:443/i1"],
            RegistrationRecord.Build(new DesiredRegistration(_options, _endpoints), new LayoutCatalog([new AddressInKey()]), "i1", weight: null)
                .Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Services_that_share_one_url_each_have_a_record_of_their_own_endpoint()
    {
        _endpoints[0] = new("Grpc", "http", "shop.example", 80) { Protocols = "h2", IsShared = true };
        _endpoints.Add(_endpoints[0] with { Name = "Web", Protocols = "h1" });
        _options.Services["user"] = new RegisteredServiceOptions { Endpoints = { "Grpc" } };
        _options.Services["web"] = new RegisteredServiceOptions { Endpoints = { "Web" } };

        var texts = Texts().ToDictionary(t => t.Key, t => t.Value);
        Assert.Equal(3, texts.Count);
        Assert.Contains("\\\"protocols\\\":\\\"h1,h2\\\"", texts["services/greeter/shop.example:80/i1"], StringComparison.Ordinal);
        Assert.Contains("\\\"protocols\\\":\\\"h2\\\"", texts["services/user/shop.example:80/i1"], StringComparison.Ordinal);
        Assert.Contains("\\\"protocols\\\":\\\"h1\\\"", texts["services/web/shop.example:80/i1"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("EtcdNaming")]
    [InlineData("EtcdNamingObject")]
    [InlineData("Kratos")]
    [InlineData("Kitex")]
    public void A_null_of_a_settings_file_takes_metadata_away(string layout)
    {
        _options.Layout = layout;
        _options.Metadata["team"] = null!;
        _options.Metadata["cost"] = "low";
        _options.Services["User"] = new RegisteredServiceOptions { Metadata = { ["cost"] = null! } };

        var texts = Texts();
        Assert.DoesNotContain(texts, static t => t.Value.Contains("team", StringComparison.Ordinal));
        Assert.Equal("greeter", Assert.Single(texts, static t => t.Value.Contains("cost", StringComparison.Ordinal)).Key.Split('/').First(static p => p is "greeter" or "User"));
    }

    [Fact]
    public void A_weight_of_zero_is_written()
        => Assert.Contains("\\\"weight\\\":0,", Assert.Single(Texts(weight: 0)).Value, StringComparison.Ordinal);

    [Fact]
    public void What_is_said_by_hand_of_the_protocols_of_a_proxy_wins()
    {
        _options.Metadata["protocols"] = "h1";

        Assert.Contains("\\\"protocols\\\":\\\"h1\\\"", Assert.Single(Texts()).Value, StringComparison.Ordinal);
    }

    private sealed class AddressInKey : IServiceLayout
    {
        public string Name => "Keys";

        public bool SupportsDraining => false;

        public string GetPrefix(string serviceName) => $"keys/{serviceName}/";

        public string GetKey(string serviceName, string address) => GetPrefix(serviceName) + address;

        public byte[]? Write(ServiceInstance instance) => [];

        public bool TryRead(
            string serviceName, EtcdKeyValue record, [NotNullWhen(true)] out ServiceInstance? instance, [NotNullWhen(false)] out string? problem)
        {
            instance = ServiceAddress.TryParse(record.Key[GetPrefix(serviceName).Length..], out var address, out problem)
                ? new ServiceInstance { Key = record.Key, ServiceName = serviceName, Host = address.Host, Port = address.Port }
                : null;
            return instance is not null;
        }
    }

    private List<(string Key, string Value)> Texts(int? weight = null)
        => [.. RegistrationRecord.Build(new DesiredRegistration(_options, _endpoints), new LayoutCatalog([]), "i1", weight)
            .Select(r => (r.Key, Encoding.UTF8.GetString(r.Value.Value)))];
}
