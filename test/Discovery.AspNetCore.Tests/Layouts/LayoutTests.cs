using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Tests.Layouts;

public sealed class LayoutTests
{
    private static readonly ServiceInstance Plain = new() { Key = "k", ServiceName = "svc", Host = "10.0.0.1", Port = 5000 };

    [Fact]
    public void EtcdNaming_writes_what_etcds_own_package_writes()
    {
        var layout = new EtcdNamingLayout(null);

        Assert.Equal("services/svc/10.0.0.1:5000", layout.GetKey("svc", Plain.Address));
        Assert.Equal("""{"Op":0,"Addr":"10.0.0.1:5000","Metadata":null}""", Encoding.UTF8.GetString(layout.Write(Plain)));
        Assert.Equal("openim/svc/", new EtcdNamingLayout("openim").GetPrefix("svc"));
        Assert.Equal("svc/", new EtcdNamingLayout("").GetPrefix("svc"));
    }

    [Fact]
    public void Metadata_are_a_text_or_an_object_and_both_layouts_read_both()
    {
        var instance = Plain with
        {
            InstanceId = "ü\"<",
            Weight = 3,
            Tags = ["x", "\u2028"],
            IsDraining = true,
            Metadata = new Dictionary<string, string> { ["\U00010000"] = "b", ["\uffee"] = "a" },
        };
        var (text, plain) = (new EtcdNamingLayout(null), new EtcdNamingLayout(null, asObject: true));

        Assert.Equal(
            $$$"""{"Op":0,"Addr":"10.0.0.1:5000","Metadata":{"id":"ü\"\u003c","weight":3,"tags":["x","\u2028"],"draining":true,"{{{"\uffee"}}}":"a","{{{"\U00010000"}}}":"b"}}""",
            Encoding.UTF8.GetString(plain.Write(instance)));
        Assert.Equal(
            """{"Op":0,"Addr":"10.0.0.1:5000","Metadata":"{\"id\":\"ü\\\"\\u003c\",\"weight\":3,\"draining\":true}"}""",
            Encoding.UTF8.GetString(text.Write(instance with { Tags = [], Metadata = Plain.Metadata })));
        Assert.All([text, plain], reader => Assert.All([text, plain], writer =>
        {
            Assert.True(reader.TryRead("svc", Record("k", writer.Write(instance)), out var read, out _));
            Assert.Equal(("ü\"<", 3, true), (read.InstanceId, read.Weight, read.IsDraining));
        }));
    }

    [Fact]
    public void OpenIm_writes_what_OpenIM_writes_and_deletes_who_drains()
    {
        var layout = new OpenImLayout(null);

        Assert.Equal("openim:///User/10.0.0.1:5000", layout.GetKey("User", Plain.Address));
        Assert.Equal("10.0.0.1:5000", Encoding.UTF8.GetString(layout.Write(Plain)!));
        Assert.Null(layout.Write(Plain with { IsDraining = true }));
        Assert.Equal("im:///User/", new OpenImLayout("im").GetPrefix("User"));
    }

    [Fact]
    public void EtcdNaming_reads_again_all_that_it_writes()
    {
        var instance = Plain with
        {
            Key = "services/svc/[::1]:5000",
            Host = "::1",
            Scheme = "https",
            InstanceId = "a-1",
            Weight = 3,
            Zone = "eu-1a",
            Version = "1.2",
            Tags = ["x", "ü\"<"],
            IsDraining = true,
            Metadata = new Dictionary<string, string> { ["team"] = "sea & shore" },
            Revision = 7,
        };
        var layout = new EtcdNamingLayout(null);

        Assert.True(layout.TryRead("svc", Record(instance.Key, layout.Write(instance)), out var read, out _));

        Assert.Equal(instance with { Tags = read.Tags, Metadata = read.Metadata }, read);
        Assert.Equal(instance.Tags, read.Tags);
        Assert.Equal(instance.Metadata, read.Metadata);
    }

    [Theory]
    [InlineData("""{"Op":0,"Addr":"10.0.0.1:80","Metadata":null}""")]
    [InlineData("""{"Op":1,"Addr":"10.0.0.1:80","Metadata":"text"}""")]
    [InlineData("""{"Op":0,"Addr":"10.0.0.1:80","Metadata":"{no JSON"}""")]
    [InlineData("""{"Op":0,"Addr":"10.0.0.1:80","Metadata":"{\"id\":{},\"weight\":-1}"}""")]
    [InlineData("""{"addr":" 10.0.0.1:80 ","unknown":[{}]}""")]
    [InlineData("""{"Addr":"10.0.0.1:80","Metadata":{"weight":-1,"scheme":"ftp","tags":"no list","id":{"a":1}}}""")]
    public void EtcdNaming_reads_what_others_write(string value)
    {
        Assert.True(new EtcdNamingLayout(null).TryRead("svc", Record("k", Encoding.UTF8.GetBytes(value)), out var read, out _));

        Assert.Equal(("10.0.0.1:80", ServiceInstance.DefaultWeight, null), (read.Address, read.Weight, read.Scheme));
    }

    [Theory]
    [InlineData("""{"Addr":"10.0.0.1:80","Metadata":"{\"id\":\"a\"} x"}""", null)]
    [InlineData("""{"Addr":"10.0.0.1:80","Metadata":"{\"id\":\"a\"}"}""", "a")]
    [InlineData("""{"Addr":"10.0.0.1:80","Metadata":"{\"\\u0049D\":\"a\"}"}""", "a")]
    [InlineData("""{"Addr":"10.0.0.1:80","Metadata":{"x":{"id":"c"},"id":"a"},"metadata":{"y":["id",{"id":"c"}],"ID":"b"}}""", "b")]
    [InlineData("""{"Addr":"10.9.9.9:80","\u0061ddr":"10.0.0.1:80","x":{"Addr":"10.8.8.8:80"},"Metadata":{"id":"a"}}""", "a")]
    public void Metadata_says_something_only_where_all_of_it_can_be_read(string value, string? id)
    {
        Assert.True(new EtcdNamingLayout(null).TryRead("svc", Record("k", Encoding.UTF8.GetBytes(value)), out var read, out _));
        Assert.Equal(("10.0.0.1:80", id), (read.Address, read.InstanceId));
    }

    /// <summary>Go writes the names of its fields with a capital, unless it is told otherwise.</summary>
    [Theory]
    [InlineData("""{"zone":"eu-1a","version":"2"}""", "eu-1a")]
    [InlineData("""{"Zone":"eu-1a","Version":"2"}""", "eu-1a")]
    [InlineData("""{"ZONE":"eu-1a","VERSION":"2"}""", "eu-1a")]
    [InlineData("""{"Zone":"eu-1a","zone":"eu-1b","Version":"2"}""", "eu-1b")]
    [InlineData("""{"zone":"eu-1b","Zone":"eu-1a","Version":"2"}""", "eu-1a")]
    public void EtcdNaming_reads_names_of_metadata_in_any_case_and_writes_them_in_small_letters(string metadata, string zone)
    {
        var layout = new EtcdNamingLayout(null, asObject: true);
        var text = System.Text.Json.JsonSerializer.Serialize(metadata);

        Assert.All([metadata, text], m =>
        {
            var value = Encoding.UTF8.GetBytes($$"""{"Op":0,"Addr":"10.0.0.1:80","Metadata":{{m}}}""");
            Assert.True(layout.TryRead("svc", Record("k", value), out var read, out var problem), problem);
            Assert.Equal((zone, "2"), (read.Zone, read.Version));
            Assert.Empty(read.Metadata);
            Assert.Contains($"\"zone\":\"{zone}\"", Encoding.UTF8.GetString(layout.Write(read)), StringComparison.Ordinal);
        });
    }

    [Theory]
    [InlineData("""{"Addr":"10.0.0.1:80"} x""", "the value is no valid JSON")]
    [InlineData("""{"Addr":"\ud800"}""", "the value is no valid JSON")]
    [InlineData("""["Addr"] ]""", "the value is no valid JSON")]
    [InlineData("""["Addr"]""", "the value is no JSON object")]
    [InlineData("", "the value is no valid JSON")]
    public void EtcdNaming_refuses_what_is_no_JSON_object_as_a_whole(string value, string expected)
    {
        Assert.False(new EtcdNamingLayout(null).TryRead("svc", Record("k", Encoding.UTF8.GetBytes(value)), out _, out var problem));
        Assert.Equal(expected, problem);
    }

    [Theory]
    [InlineData("EtcdNaming", """{"Addr":"10.0.0.1:80","\ud800":1,"Metadata":{"zone":"z"}}""")]
    [InlineData("EtcdNaming", """{"Addr":"10.0.0.1:80","Metadata":{"id":"\ud800","\ud800":"x","tags":["a","\ud800"],"team":"\udc00","zone":"z"}}""")]
    [InlineData("EtcdNaming", """{"Addr":"10.0.0.1:80","Metadata":"{\"id\":\"\\ud800\",\"zone\":\"z\"}"}""")]
    [InlineData("Kratos", """{"name":"svc","id":"\ud800","version":"\ud800","metadata":{"team":"\ud800","zone":"z"},"endpoints":["http://10.0.0.1:80"]}""")]
    [InlineData("Kitex", """{"network":"tcp","address":"10.0.0.1:80","tags":{"team":"\ud800","\ud800":"x","zone":"z"}}""")]
    public void A_text_that_cannot_be_had_says_nothing_and_takes_nothing_else_away(string layout, string value)
    {
        Assert.True(new LayoutCatalog([]).Parse(layout)[0].TryRead("svc", Record("k", Encoding.UTF8.GetBytes(value)), out var read, out var problem), problem);

        Assert.Equal(("10.0.0.1:80", "z", null, null), (read.Address, read.Zone, read.InstanceId, read.Version));
        Assert.Empty(read.Metadata);
        Assert.All(read.Tags, static t => Assert.Equal("a", t));
    }

    [Theory]
    [InlineData("\"\\ud800\"")]
    [InlineData("\"\u00ff\"")]
    public void Metadata_that_are_a_text_which_cannot_be_had_are_none(string metadata)
    {
        // As bytes, for U+00FF alone is no UTF-8.
        var value = Encoding.Latin1.GetBytes($$"""{"Addr":"10.0.0.1:80","Metadata":{{metadata}}}""");

        Assert.True(new EtcdNamingLayout(null).TryRead("svc", Record("k", value), out var read, out var problem), problem);

        Assert.Equal("10.0.0.1:80", read.Address);
    }

    [Theory]
    [InlineData("1.2.3.4")]
    [InlineData("255.255.255.255")]
    [InlineData("0.0.0.1")]
    public void An_IPv4_address_is_four_plain_numbers(string host)
    {
        Assert.True(ServiceAddress.TryParse(host + ":80", out var read, out _));
        Assert.Equal(host, read.Host);
    }

    [Theory]
    [InlineData("5", 5)]
    [InlineData("\"5\"", 5)]
    [InlineData("\" 5 \"", 5)]
    [InlineData("5.0", 5)]
    [InlineData("2.6", 3)]
    [InlineData("0.01", 1)]
    [InlineData("1e2", 100)]
    [InlineData("0", 0)]
    [InlineData("-1", 10)]
    [InlineData("1000000", 1_000_000)]
    [InlineData("1000001", 10)]
    [InlineData("2147483647", 10)]
    [InlineData("99999999999999999999", 10)]
    [InlineData("1e400", 10)]
    [InlineData("\"NaN\"", 10)]
    [InlineData("\"heavy\"", 10)]
    [InlineData("true", 10)]
    [InlineData("null", 10)]
    [InlineData("[7]", 10)]
    public void A_weight_is_read_as_it_is_meant(string json, int weight)
    {
        foreach (var (layout, value, expected) in new[]
        {
            ("EtcdNaming", $$$"""{"Addr":"10.0.0.1:80","Metadata":{"Weight":{{{json}}}}}""", weight),

            // Kitex takes a weight of 0 for none.
            ("Kitex", $$$"""{"address":"10.0.0.1:80","weight":{{{json}}}}""", json[0] == '"' || weight == 0 ? 10 : weight),
        })
        {
            Assert.True(new LayoutCatalog([]).Parse(layout)[0].TryRead("svc", Record("k", Encoding.UTF8.GetBytes(value)), out var read, out var problem), problem);
            Assert.Equal(expected, read.Weight);
        }
    }

    [Theory]
    [InlineData("services/svc//x")]
    [InlineData("services/svc/%2F..%2Fother/x")]
    [InlineData("services/svc/a/b/c")]
    [InlineData("services/svc/")]
    [InlineData("services/svc/169.254.169.254:80")]
    public void What_a_key_says_behind_its_prefix_is_no_address(string key)
    {
        Assert.True(new EtcdNamingLayout(null).TryRead("svc", Record(key, """{"Addr":"10.0.0.1:80","Metadata":{"zone":"\u0000/\u2028é"}}"""u8.ToArray()), out var read, out _));

        Assert.Equal((key, "10.0.0.1:80", "\0/\u2028é"), (read.Key, read.Address, read.Zone));
    }

    [Theory]
    [InlineData("10.0.0.1:80", "10.0.0.1:80", null)]
    [InlineData("greeter.local:80", "greeter.local:80", null)]
    [InlineData("[::1]:80", "[::1]:80", null)]
    [InlineData("[0:0::1]:80", "[::1]:80", null)]
    [InlineData("[::ffff:10.0.0.1]:80", "10.0.0.1:80", null)]
    [InlineData("HTTPS://10.0.0.1:80/", "10.0.0.1:80", "https")]
    public void An_address_has_one_spelling(string text, string address, string? scheme)
    {
        Assert.True(ServiceAddress.TryParse(text, out var read, out _));

        Assert.Equal((address, scheme), ((Plain with { Host = read.Host, Port = read.Port }).Address, read.Scheme));
    }

    [Theory]
    [InlineData("", "the address is empty")]
    [InlineData("10.0.0.1", "'10.0.0.1' has no port from 1 to 65535")]
    [InlineData("10.0.0.1:0", "has no port")]
    [InlineData("10.0.0.1:65536", "has no port")]
    [InlineData("::1:80", "is an IPv6 address without brackets")]
    [InlineData("0.0.0.0:80", "is a wildcard, not an address")]
    [InlineData("[::]:80", "is a wildcard, not an address")]
    [InlineData("010.0.0.1:80", "the host of '010.0.0.1:80' is no IPv4 address as four plain numbers, such as 10.0.0.1")]
    [InlineData("1.2.3.010:80", "four plain numbers")]
    [InlineData("1.2.772:80", "four plain numbers")]
    [InlineData("0x7f.1:80", "four plain numbers")]
    [InlineData("2852039166:80", "four plain numbers")]
    [InlineData("http://10.1:80", "four plain numbers")]
    [InlineData("a b:80", "has no valid host")]
    [InlineData("tcp://10.0.0.1:80", "is neither http nor https")]
    public void What_is_no_address_says_why(string text, string problem)
    {
        Assert.False(ServiceAddress.TryParse(text, out _, out var said));

        Assert.Contains(problem, said, StringComparison.Ordinal);
    }

    [Fact]
    public void No_record_whatever_makes_a_layout_throw()
    {
        var seed = RandomSeed.From("DISCOVERY_RANDOM_SEED");
        var random = new Random(seed);
        var valid = Encoding.UTF8.GetBytes("""{"Op":0,"Addr":"[fe80::1%2]:5000","Metadata":{"id":"\ud83d\ude00","weight":5,"tags":["a"],"x":1e400}}""");
        IServiceLayout[] layouts =
            [new EtcdNamingLayout(null), new OpenImLayout(null), new GoZeroLayout(null), new KratosLayout(null), new KitexLayout(null)];
        for (var i = 0; i < 50_000; i++)
        {
            var value = random.Next(4) == 0 ? new byte[random.Next(30)] : valid.ToArray();
            for (var change = random.Next(4); change >= 0 && value.Length > 0; change--)
            {
                value[random.Next(value.Length)] = (byte)random.Next(256);
            }

            foreach (var layout in layouts)
            {
                try
                {
                    Assert.NotEqual(layout.TryRead("svc", Record("k", value), out var instance, out var problem), problem is not null);
                    Assert.True(instance is null || instance.Address.Length > 0);
                }
                catch (Exception e) when (e is not Xunit.Sdk.XunitException)
                {
                    Assert.Fail($"{layout.Name}, seed {seed}: {Convert.ToHexString(value)}: {e}");
                }
            }
        }
    }

    [Theory]
    [InlineData("EtcdNaming", "EtcdNaming services/svc/")]
    [InlineData("etcdnaming:services", "EtcdNaming services/svc/")]
    [InlineData("EtcdNaming:openim/", "EtcdNaming openim/svc/")]
    [InlineData("EtcdNaming:", "EtcdNaming svc/")]
    [InlineData("OpenIm:im", "OpenIm im:///svc/")]
    [InlineData("OpenIm, EtcdNaming, EtcdNaming:services/, OpenIm", "OpenIm openim:///svc/,EtcdNaming services/svc/")]
    [InlineData("EtcdNamingObject:openim/,EtcdNaming:openim/", "EtcdNamingObject openim/svc/")]
    [InlineData("EtcdNaming,EtcdNaming:a", "EtcdNaming services/svc/,EtcdNaming a/svc/")]
    public void A_layout_setting_is_read(string text, string layouts)
        => Assert.Equal(layouts, string.Join(',', new LayoutCatalog([]).Parse(text).Select(l => $"{l.Name} {l.GetPrefix("svc")}")));

    [Theory]
    [InlineData("greeter", true)]
    [InlineData("helloworld.Greeter", true)]
    [InlineData("", false)]
    [InlineData("a/b", false)]
    [InlineData("a b", false)]
    public void Service_names_may_not_hold_what_would_reach_into_other_services_keys(string name, bool isFine)
        => Assert.Equal(isFine, ServiceNames.GetProblem(name) is null);

    private static EtcdKeyValue Record(string key, byte[] value) => new()
    {
        KeyBytes = Encoding.UTF8.GetBytes(key),
        Value = value,
        CreateRevision = 1,
        ModRevision = 7,
        Version = 1,
    };
}
