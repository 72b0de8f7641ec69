using System.Collections.Immutable;
using System.Text;
using Discovery.Etcd.Configuration.Documents;

namespace Discovery.Etcd.Configuration.Tests.Documents;

/// <summary>How keys become settings.</summary>
public sealed class DocumentSetTests
{
    private readonly List<string> _problems = [];
    private readonly DocumentSet _documents;

    public DocumentSetTests() => _documents = new DocumentSet("p/", (key, problem, _) => _problems.Add($"{key}: {problem}"));

    [Theory]
    [InlineData("p/Smtp/Host", "mail", "Smtp:Host=mail")]
    [InlineData("p/Smtp:Host", "mail", "Smtp:Host=mail")]
    [InlineData("p/Note", "", "Note=")]
    [InlineData("p/Format", "{0} of {1}", "Format={0} of {1}")]
    [InlineData("p/Hosts", """["a"]""", """Hosts=["a"]""")]
    [InlineData("p/Smtp", """{ "Host": "mail", "Ports": [25, 587] }""", "Smtp:Host=mail Smtp:Ports:0=25 Smtp:Ports:1=587")]
    [InlineData("p/appsettings.json", """{ "Smtp": { "Host": "mail" } }""", "Smtp:Host=mail")]
    [InlineData("p/any/Name.JSON", """{ "Host": "mail" }""", "any:Host=mail")]
    [InlineData("p/a.json", "// why\n{ \"A\": 1, }", "A=1")]
    [InlineData("p/a.json", """{ "Smtp:Host": "mail" }""", "Smtp:Host=mail")]
    [InlineData("p/a.json", "\uFEFF{ \"A\": true }", "A=True")]
    [InlineData("p/app.yaml", "a: b", "app.yaml=a: b")]
    [InlineData("p/", "folder", "")]
    [InlineData("p/folder/", "folder", "")]
    public void A_key_gives_these_settings(string key, string value, string expected)
    {
        Update((key, value));

        Assert.Equal(expected, Settings());
        Assert.Empty(_problems);
    }

    [Theory]
    [InlineData("p/a.json", "text", "it is no JSON, or nested too deeply (line 1, byte")]
    [InlineData("p/a.json", "", "it is no JSON")]
    [InlineData("p/a.json", "[1]", "it is no JSON object")]
    [InlineData("p/a.json", """{ "A": 1, "a": 2 }""", "A duplicate key")]
    [InlineData("p/a.json", """{ "B": { "C": 1 }, "B:C": 2 }""", "A duplicate key 'B:C'")]
    [InlineData("p/a//b", "x", "its name has an empty part")]
    [InlineData("q", "x", "it does not stand under 'p/'")]
    public void A_record_that_cannot_be_used_takes_nothing_else_along(string key, string value, string problem)
    {
        Update((key, value), ("p/Title", "Shop"));

        Assert.Equal("Title=Shop", Settings());
        Assert.StartsWith($"{key}: ", Assert.Single(_problems), StringComparison.Ordinal);
        Assert.Contains(problem, _problems[0], StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_too_deep_too_large_or_no_text_is_left_out_and_said()
    {
        Update(
            Record("p/deep.json", Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("""{"a":""", 100)) + "1" + new string('}', 100))),
            Record("p/" + string.Join('/', Enumerable.Repeat("a", 100)), "x"u8.ToArray()),
            Record("p/large", new byte[(1024 * 1024) + 1]),
            Record("p/text", [0xff, 0xfe]));

        Assert.Equal("", Settings());
        Assert.Equal(4, _problems.Count);
        Assert.Contains(_problems, p => p.Contains("nested too deeply", StringComparison.Ordinal));
        Assert.Contains(_problems, p => p.Contains("more than 64 parts", StringComparison.Ordinal));
        Assert.Contains(_problems, p => p.Contains("it has 1048577 bytes, more than 1048576", StringComparison.Ordinal));
        Assert.Contains(_problems, p => p.Contains("no UTF-8 text", StringComparison.Ordinal));
    }

    [Fact]
    public void Later_keys_win_in_ordinal_order_whatever_their_case()
    {
        Update(("p/a.json", """{ "SMTP": { "Host": "a" } }"""), ("p/Smtp/Host", "S"), ("p/b.json", """{ "smtp": { "host": "b" } }"""));

        Assert.Equal("b", _documents.Merge()["Smtp:Host"]);
    }

    [Fact]
    public void A_broken_document_stands_as_it_was_until_its_key_is_deleted()
    {
        Update(("p/Smtp", """{ "Host": "mail" }"""));
        Update(("p/Smtp", "text"));
        Update(("p/Smtp", "text"));
        Assert.Equal("Smtp:Host=mail", Settings());
        Assert.Single(_problems);
        Assert.Equal("""{ "Host": "mail" }""", Encoding.UTF8.GetString(Assert.Single(_documents.Records).Value.Span));

        Update(Array.Empty<EtcdKeyValue>());
        Assert.Equal("", Settings());
        Update(("p/Smtp", "text"));
        Assert.Equal("Smtp=text", Settings());
    }

    [Fact]
    public void A_broken_value_is_said_again_when_the_good_one_stood_in_between()
    {
        for (var i = 1; i <= 2; i++)
        {
            Update(("p/Smtp", """{ "Host": "mail" }"""));
            Update(("p/Smtp", "text"));
            Update(("p/Smtp", "text"));

            Assert.Equal(i, _problems.Count);
        }
    }

    [Fact]
    public void A_key_that_was_deleted_and_put_again_in_between_has_no_earlier_value()
    {
        Update(("p/Smtp", """{ "Host": "mail" }"""));
        Update([new EtcdKeyValue { KeyBytes = "p/Smtp"u8.ToArray(), Value = """{ "Host": "mail" }"""u8.ToArray(), CreateRevision = 3, ModRevision = 3, Version = 1 }]);
        Update([new EtcdKeyValue { KeyBytes = "p/Smtp"u8.ToArray(), Value = "text"u8.ToArray(), CreateRevision = 3, ModRevision = 4, Version = 2 }]);
        Assert.Equal("Smtp:Host=mail", Settings());

        Update([new EtcdKeyValue { KeyBytes = "p/Smtp"u8.ToArray(), Value = "off"u8.ToArray(), CreateRevision = 6, ModRevision = 6, Version = 1 }]);

        Assert.Equal("Smtp=off", Settings());
    }

    [Fact]
    public void A_byte_order_mark_is_no_part_of_a_value()
    {
        Update(("p/Mail", "\uFEFFtext"), ("p/Smtp", "\uFEFF{ \"Host\": \"mail\" }"));

        Assert.Equal(["mail", "text"], _documents.Merge().OrderBy(static s => s.Value, StringComparer.Ordinal).Select(static s => s.Value));
        Assert.Empty(_problems);
    }

    [Fact]
    public void Too_many_settings_are_cut_off_and_said_once()
    {
        var many = "{" + string.Join(',', Enumerable.Range(0, 60_000).Select(i => $"\"{i}\":1")) + "}";
        Update(("p/a", many), ("p/b", many), ("p/c", "1"));

        Assert.Equal(60_000, _documents.Merge().Count);
        Assert.Equal(60_000, _documents.Merge().Count);
        Assert.StartsWith("p/b: there are more than 100000 settings", Assert.Single(_problems), StringComparison.Ordinal);
    }

    private static EtcdKeyValue Record(string key, byte[] value) =>
        new() { KeyBytes = Encoding.UTF8.GetBytes(key), Value = value, CreateRevision = 1, ModRevision = 1, Version = 1 };

    private void Update(params (string Key, string Value)[] pairs) => Update([.. pairs.Select(p => Record(p.Key, Encoding.UTF8.GetBytes(p.Value)))]);

    private void Update(params EtcdKeyValue[] records) => _documents.Update(records.ToImmutableSortedDictionary(r => r.Key, r => r, StringComparer.Ordinal));

    private string Settings() => string.Join(' ', _documents.Merge().OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => $"{s.Key}={s.Value}"));
}
