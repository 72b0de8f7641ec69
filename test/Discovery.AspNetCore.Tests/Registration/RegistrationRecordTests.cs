using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Registration;
using Discovery.AspNetCore.Registration.Addresses;

namespace Discovery.AspNetCore.Tests.Registration;

public sealed class RegistrationRecordTests
{
    private readonly EtcdRegistrationOptions _options = new() { ServiceName = "greeter" };
    private readonly List<AdvertisedEndpoint> _endpoints = [new("Grpc", "http", "10.0.0.1", 5000)];

    [Fact]
    public void A_record_says_what_others_need_and_leaves_out_what_has_its_default()
        => Assert.Equal(
            ("services/greeter/10.0.0.1:5000", """{"Op":0,"Addr":"10.0.0.1:5000","Metadata":{"id":"i1","scheme":"http"}}"""),
            Assert.Single(Texts()));

    [Fact]
    public void Several_layouts_are_written_side_by_side()
    {
        _options.Layout = "EtcdNaming:openim/,OpenIm";

        Assert.Equal(
            [
                ("openim/greeter/10.0.0.1:5000", """{"Op":0,"Addr":"10.0.0.1:5000","Metadata":{"id":"i1","scheme":"http"}}"""),
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
            """{"Op":0,"Addr":"10.0.0.1:5000","Metadata":{"id":"i1","scheme":"http","weight":20,"zone":"eu-1","version":"1.0","tags":["blue"],"cost":"low","team":"a"}}""",
            texts["services/greeter/10.0.0.1:5000"]);
        Assert.Equal(
            """{"Op":0,"Addr":"[fd00::1]:5001","Metadata":{"id":"i1","scheme":"https","weight":30,"zone":"eu-1","version":"2.0","tags":["blue","fast"],"cost":"low","team":"c","tier":"1"}}""",
            texts["services/User/[fd00::1]:5001"]);
    }

    [Fact]
    public void A_weight_that_code_has_set_wins_over_all_settings()
    {
        _options.Services["User"] = new RegisteredServiceOptions { Weight = 30 };

        Assert.All(Texts(weight: 7), t => Assert.Contains("\"weight\":7}", t.Value, StringComparison.Ordinal));
    }

    [Fact]
    public void The_draining_value_says_that_the_instance_drains_where_the_layout_can()
    {
        _options.Layout = "EtcdNaming,OpenIm";

        var records = RegistrationRecord.Build(new DesiredRegistration(_options, _endpoints), new LayoutCatalog([]), "i1", weight: null);

        Assert.Contains("\"draining\":true", Encoding.UTF8.GetString(records["services/greeter/10.0.0.1:5000"].DrainingValue!), StringComparison.Ordinal);
        Assert.Null(records["openim:///greeter/10.0.0.1:5000"].DrainingValue);
    }

    private List<(string Key, string Value)> Texts(int? weight = null)
        => [.. RegistrationRecord.Build(new DesiredRegistration(_options, _endpoints), new LayoutCatalog([]), "i1", weight)
            .Select(r => (r.Key, Encoding.UTF8.GetString(r.Value.Value)))];
}
