using Discovery.FieldTests.Support;

namespace Discovery.FieldTests;

/// <summary>What the caller's own machine lacks.</summary>
public sealed class OwnLimitsTests
{
    [Fact]
    public async Task An_application_that_has_no_handle_left_ejects_nobody_and_calls_on_once_it_has_some()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        await using var field = await Field.StartAsync();
        var servers = new[] { await field.StartServerAsync(), await field.StartServerAsync() };
        await field.RegisterAsync(Field.DeadAddress(1), "\"id\":\"dead\"");

        await using var caller = await OwnedProcess.StartAsync(
            "sh", ["-c", "ulimit -n 400 && exec dotnet \"$@\"", "sh", typeof(OwnLimitsTests).Assembly.Location, "exhaust", field.Etcd]);
        await caller.WaitForExitAsync(TimeSpan.FromMinutes(2));

        Assert.Contains("failed 20, Too many open files", caller.Output, StringComparison.Ordinal);
        Assert.Contains("answered 20", caller.Output, StringComparison.Ordinal);
        Assert.All(servers, s => Assert.DoesNotContain(s.Address, caller.Output, StringComparison.Ordinal));
    }
}
