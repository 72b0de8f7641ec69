using System.Diagnostics.CodeAnalysis;
using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Tests.Calls;
using Discovery.Etcd;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Watching;

/// <summary>What is logged of a record that is no instance: enough to find it, and no password of an address.</summary>
public sealed class SkippedRecordTests
{
    private const string UserProblem = "has a user in it, which no instance has. Its value begins: ";

    [Theory]
    [InlineData("EtcdNaming", "a", """{"Addr":"http://joe:hunter2@10.0.0.1:80"}""", "'http://***@10.0.0.1:80' " + UserProblem + """{"Addr":"http://***@10.0.0.1:80"}""")]
    [InlineData("EtcdNaming", "a", """{"Addr":"joe:hunter2@10.0.0.1:80"}""", "'***@10.0.0.1:80' " + UserProblem + """{"Addr":"***@10.0.0.1:80"}""")]
    [InlineData("EtcdNaming", "a", """{"Addr":"https:\/\/joe:hunter2\u004010.0.0.1:80","Op":0}""", UserProblem + """{"Addr":"***\u004010.0.0.1:80","Op":0}""")]
    [InlineData("EtcdNaming", "a", """{"Addr":"joe:a\"hunter2@10.0.0.1:80"}""", UserProblem + """{"Addr":"***@10.0.0.1:80"}""")]
    [InlineData("EtcdNaming", "a", """{"Addr":"http://joe:a@hunter2@10.0.0.1:80"}""", UserProblem + """{"Addr":"http://***@***@10.0.0.1:80"}""")]
    [InlineData("EtcdNaming", "a", """{"Addr":"http://joe:hunter2@10.0.0.1:80" """, """the value is no valid JSON. Its value begins: {"Addr":"http://***@10.0.0.1:80" """)]
    [InlineData("EtcdNaming", "a", """{"Addr":":80","Metadata":{"owner":"joe:hunter2@a","zone":"b"}}""", """begins: {"Addr":":80","Metadata":{"owner":"***@a","zone":"b"}}""")]
    [InlineData("EtcdNaming", "joe:hunter2@10.0.0.1:80", """{"Addr":"joe:hunter2@10.0.0.1:80"}""", "The record services/svc/***@10.0.0.1:80 is no instance")]
    [InlineData("EtcdNaming", "http://joe:hunter2@10.0.0.1:80", "{}", "The record services/svc/http://***@10.0.0.1:80 is no instance")]
    [InlineData("EtcdNaming", "node@host", "{}", "The record services/svc/node@host is no instance")]
    [InlineData("Kratos", "a", """{"name":"svc","endpoints":["http://user:hunter2@10.1.0.8:80"]}""", "'http://***@10.1.0.8:80' " + UserProblem)]
    [InlineData("Kratos", "a", """{"name":"svc","endpoints":["grpc://user:p/hunter2@10.1.0.8:80"]}""", "'grpc://***@10.1.0.8:80' " + UserProblem)]
    [InlineData("Kratos", "a", """{"name":"svc","endpoints":["ftp://user:hunter2@10.1.0.8:80"]}""", "the scheme of 'ftp://***@10.1.0.8:80' is none of")]
    [InlineData("Kratos", "a", """{"name":"svc","endpoints":["user:hunter2@10.1.0.8:80"]}""", "'***@10.1.0.8:80' is no URL")]
    [InlineData("Kratos", "a", """{"name":"joe:hunter2@x","endpoints":[]}""", "***@x'")]
    [InlineData("Kitex", "a", """{"network":"udp","address":"joe:hunter2@10.0.0.1:80"}""", """{"network":"udp","address":"***@10.0.0.1:80"}""")]
    [InlineData("GoZero", "a", "joe:hunter2@10.0.0.3:80", "'***@10.0.0.3:80' " + UserProblem + "***@10.0.0.3:80")]
    [InlineData("OpenIm", "a", "http://joe:hun\"ter2@10.0.0.3:80", UserProblem + "http://***@10.0.0.3:80")]
    public async Task The_user_of_an_address_is_hidden_wherever_it_stands(string name, string key, string value, string expected)
    {
        await using var harness = new Harness(settings: ("Etcd:Discovery:Layout", name));
        var line = await SkipAsync(harness, new LayoutCatalog([]).Parse(name)[0].GetPrefix("svc") + key, value);

        Assert.Contains(expected, line, StringComparison.Ordinal);
        Assert.DoesNotContain("hun", line, StringComparison.Ordinal);
        Assert.DoesNotContain("ter2", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_password_that_is_cut_is_hidden_too()
    {
        await using var harness = new Harness();
        var line = await SkipAsync(harness, "services/svc/a", $$"""{"Addr":"http://joe:{{new string('p', 1000)}}@10.0.0.1:80"}""");

        Assert.Contains("""begins: {"Addr":"http://***@10.0.0.1:80"}""", line, StringComparison.Ordinal);
        Assert.DoesNotContain("ppp", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_value_full_of_users_costs_no_more_than_what_is_shown_of_it()
    {
        await using var harness = new Harness();
        var line = await SkipAsync(harness, "services/svc/a", new string('@', 1_000_000)).WaitAsync(TimeSpan.FromSeconds(10));

        Assert.True(line.Length < 400, line);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_layout_that_quotes_the_record_tells_no_password(bool throws)
    {
        await using var harness = new Harness(
            settings: ("Etcd:Discovery:Layout", "Quoting"), services: s => s.AddSingleton<IServiceLayout>(new QuotingLayout(throws)));
        var line = await SkipAsync(harness, "quoting/svc/a", $"joe:hunter2{new string('x', 100)}@10.0.0.1:80");

        Assert.Contains("***@10.0.0.1:80", line, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", line, StringComparison.Ordinal);
    }

    private static async Task<string> SkipAsync(Harness harness, string key, string value)
    {
        harness.Etcd.Put(key, Encoding.UTF8.GetBytes(value));
        await harness.StartServerAsync();
        using var client = harness.Client();

        // In other layouts than the usual one it waits for a server, which does not matter here.
        _ = Record.ExceptionAsync(() => client.GetStringAsync("x"));
        await Eventually.IsTrue(() => harness.Log.Has(LogLevel.Warning, "is no instance and is skipped"));
        return harness.Log.At(LogLevel.Warning).First(static l => l.Contains("is no instance and is skipped", StringComparison.Ordinal));
    }

    /// <summary>An application's own layout, which reads nothing and says what there was.</summary>
    private sealed class QuotingLayout(bool throws) : IServiceLayout
    {
        public string Name => "Quoting";

        public bool SupportsDraining => false;

        public string GetPrefix(string serviceName) => $"quoting/{serviceName}/";

        public string GetKey(string serviceName, string address) => GetPrefix(serviceName) + address;

        public byte[]? Write(ServiceInstance instance) => null;

        public bool TryRead(
            string serviceName, EtcdKeyValue record, [NotNullWhen(true)] out ServiceInstance? instance, [NotNullWhen(false)] out string? problem)
        {
            instance = null;
            problem = $"there is no sense in {Encoding.UTF8.GetString(record.Value.Span)}";
            return throws ? throw new FormatException(problem) : false;
        }
    }
}
