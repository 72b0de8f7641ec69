using System.Text.Json;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Tests.Diagnostics;

public sealed class TagValuesTests
{
    private static readonly Dictionary<CallOutcome, CallOutcome> Finer = new()
    {
        [CallOutcome.Redirected] = CallOutcome.Success,
        [CallOutcome.Denied] = CallOutcome.Refused,
        [CallOutcome.CallersError] = CallOutcome.Refused,
        [CallOutcome.Stalled] = CallOutcome.TimedOut,
        [CallOutcome.SameFailure] = CallOutcome.Failure,
    };

    [Fact]
    public void Each_value_is_written_by_its_name_as_conventions_write_names()
    {
        Assert.All(Enum.GetValues<CallOutcome>().Except(Finer.Keys), static v => Assert.Equal(NameOf(v), v.ToTag()));
        Assert.All(Enum.GetValues<ServiceChangeReason>(), static v => Assert.Equal(NameOf(v), v.ToTag()));
        Assert.All(Enum.GetValues<ServiceRegistrationState>(), static v => Assert.Equal(NameOf(v), v.ToTag()));
    }

    [Fact]
    public void What_only_balancing_tells_apart_has_the_value_that_operators_know()
        => Assert.All(Finer, static f => Assert.Equal(f.Value.ToTag(), f.Key.ToTag()));

    private static string NameOf(Enum value) => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());
}
