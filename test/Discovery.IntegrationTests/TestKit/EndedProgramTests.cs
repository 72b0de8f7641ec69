namespace Discovery.IntegrationTests.TestKit;

/// <summary>A program that a test starts and that ends by itself fails the test at once, with what it wrote.</summary>
public sealed class EndedProgramTests : IDisposable
{
    // Far below the limits of the helpers, on a busy machine too.
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("programs-");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task Waiting_for_the_output_of_a_program_that_ended()
    {
        await using var process = await OwnedProcess.StartAsync("/bin/sh", ["-c", "echo a reason >&2; exit 3"]);

        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => process.WaitForOutputAsync(_ => false).WaitAsync(Soon));

        Assert.Contains("a reason", failure.Message, StringComparison.Ordinal);
        Assert.Throws<InvalidOperationException>(process.ThrowIfExited);
    }

    [Fact]
    public async Task Waiting_for_what_a_program_never_writes()
    {
        await using var process = await OwnedProcess.StartAsync("/bin/sh", ["-c", "echo something else; exec sleep 100"]);
        await process.WaitForOutputAsync(output => output.Contains("something else", StringComparison.Ordinal));

        var failure = await Assert.ThrowsAsync<TimeoutException>(() => process.WaitForOutputAsync(_ => false, TimeSpan.FromMilliseconds(100)));

        Assert.Contains("something else", failure.Message, StringComparison.Ordinal);
        process.ThrowIfExited();
    }

    [Fact]
    public async Task Starting_an_etcd_that_ends()
    {
        var etcd = Script("echo a reason >&2; exit 3");

        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => EtcdProcess.StartAsync(new EtcdProcessOptions { Etcd = etcd }).WaitAsync(Soon));

        Assert.Contains("a reason", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Starting_an_etcd_whose_ports_are_always_taken()
    {
        var etcd = Script("echo listen tcp: bind: address already in use >&2; exit 1");

        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => EtcdProcess.StartAsync(new EtcdProcessOptions { Etcd = etcd }).WaitAsync(Soon));

        Assert.Contains("address already in use", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_etcd_knows_its_version()
    {
        var etcd = Script("echo etcd Version: 3.6.0-rc.1; echo Git SHA: 1");

        Assert.Equal(new Version(3, 6, 0), EtcdBinary.VersionOf(etcd));
        await using var real = await EtcdProcess.StartAsync();
        Assert.Equal(EtcdBinary.Version, real.EtcdVersion);
        Assert.Contains($"{real.EtcdVersion}", await Etcdctl.RunAsync(real.Endpoint, "endpoint", "status"), StringComparison.Ordinal);
    }

    private string Script(string text)
    {
        var path = Path.Combine(_directory.FullName, "program");
        File.WriteAllText(path, $"#!/bin/sh\n{text}\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        return path;
    }
}
