using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Tests.Layouts;

/// <summary>
/// The formats of Go frameworks. The bytes are those of Go's <c>encoding/json</c> on the structs of go-zero <c>core/discov</c>, Kratos
/// <c>registry.ServiceInstance</c> with <c>contrib/registry/etcd</c>, Kitex <c>kitex-contrib/registry-etcd</c>.
/// </summary>
public sealed class GoLayoutTests
{
    private static readonly ServiceInstance Plain = new() { Key = "k", ServiceName = "svc", Host = "10.0.0.1", Port = 5000 };

    private static readonly ServiceInstance Full = Plain with
    {
        Host = "::1",
        Scheme = "http",
        InstanceId = "a-1",
        Weight = 3,
        Zone = "eu-1a",
        Version = "1.2",
        Tags = ["x", "ü\"<"],
        IsDraining = true,
        Protocols = InstanceProtocols.Http1 | InstanceProtocols.Http2,
        Metadata = new Dictionary<string, string> { ["team"] = "sea & \u2028 <shore>\t😀\u0001" },
        Revision = 7,
    };

    [Fact]
    public void GoZero_has_the_address_below_a_decimal_id_that_stays()
    {
        var layout = new GoZeroLayout(null);

        var key = layout.GetKey("greet.rpc", Plain.Address);

        Assert.Matches("^greet\\.rpc/[1-9][0-9]{0,18}$", key);
        Assert.Equal(key, layout.GetKey("greet.rpc", Plain.Address));
        Assert.NotEqual(key, layout.GetKey("greet.rpc", "10.0.0.1:5001"));
        Assert.Equal("10.0.0.1:5000", Encoding.UTF8.GetString(layout.Write(Plain)!));
        Assert.Null(layout.Write(Full));
        Assert.Equal("shop/greet.rpc/", new GoZeroLayout("shop").GetPrefix("greet.rpc"));
    }

    [Fact]
    public void Kratos_is_written_as_Go_writes_it()
    {
        var layout = new KratosLayout(null);

        Assert.Equal("/microservices/svc/10.0.0.1:5000", layout.GetKey("svc", Plain.Address));
        Assert.Equal("/shop/svc/", layout.WithRoot("/shop/").GetPrefix("svc"));
        Assert.Equal(
            """{"id":"10.0.0.1:5000","name":"svc","version":"","metadata":null,"endpoints":["grpc://10.0.0.1:5000?isSecure=false"]}""",
            Encoding.UTF8.GetString(layout.Write(Plain)));
        Assert.Equal(
            """{"id":"a-1","name":"svc","version":"1.2","metadata":{"draining":"true","protocols":"h1,h2","tags":"x,ü\"\u003c","team":"sea \u0026 \u2028 \u003cshore\u003e\t😀\u0001","weight":"30","zone":"eu-1a"},"endpoints":["grpc://[::1]:5000?isSecure=false","http://[::1]:5000?isSecure=false"]}""",
            Encoding.UTF8.GetString(layout.Write(Full)));
        Assert.Contains("\"grpcs://10.0.0.1:5000\"", Encoding.UTF8.GetString(layout.Write(Plain with { Scheme = "https" })), StringComparison.Ordinal);
    }

    [Fact]
    public void Kitex_is_written_as_Go_writes_it()
    {
        var layout = new KitexLayout(null);

        Assert.Equal("kitex/registry-etcd/svc/10.0.0.1:5000", layout.GetKey("svc", Plain.Address));
        Assert.Equal("mine/svc/", layout.WithRoot("mine").GetPrefix("svc"));
        Assert.Equal("""{"network":"tcp","address":"10.0.0.1:5000","weight":10,"tags":null}""", Encoding.UTF8.GetString(layout.Write(Plain)));
        Assert.Equal(
            """{"network":"tcp","address":"[::1]:5000","weight":3,"tags":{"draining":"true","id":"a-1","protocols":"h1,h2","scheme":"http","tags":"x,ü\"\u003c","team":"sea \u0026 \u2028 \u003cshore\u003e\t😀\u0001","version":"1.2","zone":"eu-1a"}}""",
            Encoding.UTF8.GetString(layout.Write(Full)));
        Assert.Equal(
            """{"network":"tcp","address":"10.0.0.1:5000","weight":1,"tags":{"weight":"0"}}""",
            Encoding.UTF8.GetString(layout.Write(Plain with { Weight = 0 })));
    }

    [Theory]
    [InlineData("Kratos", 3)]
    [InlineData("Kratos", 1_000_000)]
    [InlineData("Kratos", 0)]
    [InlineData("Kitex", 3)]
    [InlineData("Kitex", 0)]
    public void What_is_written_is_read_again(string name, int weight)
    {
        var layout = new LayoutCatalog([]).Parse(name)[0];
        var instance = Full with { Key = layout.GetKey("svc", Full.Address), Weight = weight };

        Assert.True(layout.TryRead("svc", Record(instance.Key, Encoding.UTF8.GetString(layout.Write(instance)!)), out var read, out _));

        Assert.Equal(instance with { Tags = read.Tags, Metadata = read.Metadata }, read);
        Assert.Equal(instance.Tags, read.Tags);
        Assert.Equal(instance.Metadata, read.Metadata);
    }

    [Fact]
    public void A_Kratos_record_holds_the_addresses_of_all_servers_of_its_application()
    {
        IServiceLayout layout = new KratosLayout(null);

        Assert.True(layout.TryReadAll(
            "svc",
            Record(
                "/microservices/svc/uuid",
                """
                {"ID":"uuid","Name":"svc","version":"v2","metadata":{"weight":"70","Zone":"a"},"unknown":1,
                 "endpoints":["http://10.0.0.1:8000?isSecure=false","grpc://10.0.0.1:9000","grpc://10.0.0.1:9443?isSecure=true","tcp://10.0.0.1:1",7]}
                """),
            out var instances,
            out _));

        Assert.Equal(
            [
                ("http://10.0.0.1:8000", InstanceProtocols.Http1), ("http://10.0.0.1:9000", InstanceProtocols.Http2),
                ("https://10.0.0.1:9443", InstanceProtocols.Http2),
            ],
            instances.Select(i => (i.ToString(), i.Protocols)));
        Assert.All(instances, i => Assert.Equal(("uuid", "v2", "a", 7), (i.InstanceId, i.Version, i.Zone, i.Weight)));
    }

    [Theory]
    [InlineData("\"100\"", 10)]
    [InlineData("50", 5)]
    [InlineData("\"26.0\"", 3)]
    [InlineData("\"1\"", 1)]
    [InlineData("\"0\"", 0)]
    [InlineData("\"-1\"", 10)]
    [InlineData("\"heavy\"", 10)]
    [InlineData("\"NaN\"", 10)]
    [InlineData("[70]", 10)]
    [InlineData("\"10000001\"", 10)]
    public void A_weight_of_Kratos_is_a_tenth_of_it_here(string weight, int expected)
    {
        var record = Record("k", $$"""{"name":"svc","metadata":{"weight":{{weight}}},"endpoints":["grpc://10.0.0.1:9000"]}""");

        Assert.True(new KratosLayout(null).TryRead("svc", record, out var read, out _));

        Assert.Equal(expected, read.Weight);
    }

    [Theory]
    [InlineData("Kratos:/microservices/shop", "/microservices/shop/greeter/1", "shop/greeter", true)]
    [InlineData("Kratos:/microservices/shop", "/microservices/shop/greeter/1", "greeter", true)]
    [InlineData("Kratos:/eu/shop", "/eu/shop/greeter/1", "eu/shop/greeter", true)]
    [InlineData("Kratos:/microservices/shop", "/microservices/shop/greeter/1", "other/greeter", false)]
    [InlineData("Kratos", "/microservices/greeter/1", "shop/greeter", false)]
    public void A_name_of_Kratos_with_slashes_is_partly_the_root_here(string layout, string key, string name, bool isRead)
    {
        var record = Record(key, $$"""{"name":"{{name}}","endpoints":["grpc://10.0.0.1:9000"]}""");

        Assert.Equal(isRead, new LayoutCatalog([]).Parse(layout)[0].TryRead("greeter", record, out var read, out _));
        Assert.Equal(isRead ? "greeter" : null, read?.ServiceName);
    }

    [Theory]
    [InlineData("""{"address":"10.0.0.1:80"}""", 10)]
    [InlineData("""{"Network":"tcp","Address":"10.0.0.1:80","Weight":0,"Tags":null}""", 10)]
    [InlineData("""{"network":"tcp4","address":"10.0.0.1:80","weight":-5,"tags":{"x":{}}}""", 10)]
    [InlineData("""{"network":"tcp","address":"10.0.0.1:80","weight":20,"future":[]}""", 20)]
    [InlineData("""{"network":"TCP","address":"10.0.0.1:80"}""", 10)]
    [InlineData("""{"network":"Tcp6","address":"10.0.0.1:80"}""", 10)]
    public void A_Kitex_record_is_read_as_Kitex_reads_it(string value, int weight)
    {
        Assert.True(new KitexLayout(null).TryRead("svc", Record("k", value), out var read, out _));

        Assert.Equal(("10.0.0.1:80", weight), (read.Address, read.Weight));
    }

    [Theory]
    [InlineData("Kratos", """{"name":"svc-b","endpoints":["grpc://10.0.0.1:80"]}""", "it is of the service 'svc-b'")]
    [InlineData("Kratos", """{"name":"svc","endpoints":[]}""", "it has no endpoints")]
    [InlineData("Kratos", """{"name":"svc","endpoints":"grpc://10.0.0.1:80"}""", "it has no endpoints")]
    [InlineData("Kratos", """{"name":"svc","endpoints":["tcp://10.0.0.1:80"]}""", "is none of grpc, grpcs, http and https")]
    [InlineData("Kratos", "10.0.0.1:80", "the value is no valid JSON")]
    [InlineData("Kratos", """{"name":"\ud800"}""", "the value is no valid JSON")]
    [InlineData("Kitex", """{"network":"UDP","address":"10.0.0.1:80"}""", "the network 'UDP' is not tcp")]
    [InlineData("Kitex", """{"network":"unix","address":"/tmp/x"}""", "the network 'unix' is not tcp")]
    [InlineData("Kitex", """{"address":7}""", "the address is empty")]
    [InlineData("Kitex", "[]", "the value is no JSON object")]
    [InlineData("GoZero", """{"Addr":"10.0.0.1:80"}""", "has no port")]
    public void What_is_no_record_says_why(string layout, string value, string problem)
    {
        Assert.False(new LayoutCatalog([]).Parse(layout)[0].TryRead("svc", Record("k", value), out _, out var said));

        Assert.Contains(problem, said, StringComparison.Ordinal);
    }

    private static EtcdKeyValue Record(string key, string value) => new()
    {
        KeyBytes = Encoding.UTF8.GetBytes(key),
        Value = Encoding.UTF8.GetBytes(value),
        CreateRevision = 1,
        ModRevision = 7,
        Version = 1,
    };
}
