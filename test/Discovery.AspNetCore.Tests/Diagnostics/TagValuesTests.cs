using System.Text.Json;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Tests.Diagnostics;

public sealed class TagValuesTests
{
    [Fact]
    public void Each_value_is_written_by_its_name_as_conventions_write_names()
    {
        Assert.All(Enum.GetValues<CallOutcome>(), static v => Assert.Equal(NameOf(v), v.ToTag()));
        Assert.All(Enum.GetValues<ServiceChangeReason>(), static v => Assert.Equal(NameOf(v), v.ToTag()));
        Assert.All(Enum.GetValues<ServiceRegistrationState>(), static v => Assert.Equal(NameOf(v), v.ToTag()));
    }

    private static string NameOf(Enum value) => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());
}
