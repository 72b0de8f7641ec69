using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Tests.Layouts;

/// <summary>What a record has beside what is read of it is skipped, however deep it is nested, as Go skips it.</summary>
public sealed class NestedRecordTests
{
    public static TheoryData<string, string> Records => new()
    {
        { "EtcdNaming", """{"x":NESTED,"Addr":"10.0.0.1:80","Metadata":{"zone":"z"}}""" },
        { "EtcdNaming", """{"Addr":"10.0.0.1:80","Metadata":{"x":NESTED,"tags":["a",NESTED],"zone":"z"}}""" },
        { "EtcdNaming", """{"Addr":"10.0.0.1:80","Metadata":"{\"x\":NESTED,\"zone\":\"z\"}"}""" },
        { "EtcdNamingObject", """{"Addr":"10.0.0.1:80","Metadata":{"zone":"z","team":NESTED}}""" },
        { "Kratos", """{"name":"svc","x":NESTED,"metadata":{"zone":"z","x":NESTED},"endpoints":[NESTED,"http://10.0.0.1:80"]}""" },
        { "Kitex", """{"network":"tcp","address":"10.0.0.1:80","tags":{"x":NESTED,"zone":"z"},"weight":NESTED}""" },
    };

    [Theory]
    [MemberData(nameof(Records))]
    public void Depth_is_no_reason_to_skip_a_record(string layout, string value)
    {
        foreach (var depth in new[] { 1, 64, 65, 9_000 })
        {
            Assert.True(TryRead(layout, value, depth, out var instance, out var problem), $"{depth}: {problem}");
            Assert.Equal(("10.0.0.1:80", "z"), (instance.Address, instance.Zone));
        }
    }

    [Theory]
    [MemberData(nameof(Records))]
    public void A_record_deeper_than_Go_reads_is_skipped_and_nothing_overflows(string layout, string value)
        => Assert.True(
            !TryRead(layout, value, 400_000, out var instance, out var problem) ? problem == "the value is no valid JSON" : instance.Zone is null,
            "what is too deep was read");

    private static bool TryRead(
        string layout,
        string value,
        int depth,
        [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out ServiceInstance? instance,
        out string? problem)
    {
        var json = value.Replace("NESTED", new string('[', depth) + new string(']', depth), StringComparison.Ordinal);
        var record = new EtcdKeyValue
        {
            KeyBytes = "k"u8.ToArray(), Value = Encoding.UTF8.GetBytes(json), CreateRevision = 1, ModRevision = 1, Version = 1,
        };
        return new LayoutCatalog([]).Parse(layout)[0].TryRead("svc", record, out instance, out problem);
    }
}
