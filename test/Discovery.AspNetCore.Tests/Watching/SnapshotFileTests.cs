using System.Text;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Tests.Watching;

public sealed class SnapshotFileTests : IDisposable
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), $"snapshots-{Guid.NewGuid():N}");
    private readonly LogRecorder _log = new();
    private readonly SnapshotFile _file;

    public SnapshotFileTests() => _file = new SnapshotFile(_directory, "svc", "services/svc/", TimeProvider.System, _log);

    private string OnlyPath => Assert.Single(Directory.GetFiles(_directory));

    public void Dispose()
    {
        if (Directory.Exists(_directory))
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    [Fact]
    public void What_is_written_is_read_again_and_nothing_else_is_left_in_the_directory()
    {
        Assert.False(_file.TryRead(out _));

        _file.Write(Listing(3));
        _file.Write(Listing(2));

        Assert.True(_file.TryRead(out var read));
        Assert.Equal((2, 42L, 0xabcUL), (read.Items.Count, read.Revision, read.ClusterId));
        Assert.Equal("services/svc/1=value 1", $"{read.Items[1].Key}={Encoding.UTF8.GetString(read.Items[1].Value.Span)}");
        Assert.EndsWith(".json", OnlyPath, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Several_processes_may_share_the_directory()
    {
        await Task.WhenAll(Enumerable.Range(1, 4).Select(process => Task.Run(() =>
        {
            var file = new SnapshotFile(_directory, "svc", "services/svc/", TimeProvider.System, _log);
            for (var i = 0; i < 25; i++)
            {
                file.Write(Listing(process));
                Assert.True(file.TryRead(out var read));
                Assert.InRange(read.Items.Count, 1, 4);
            }
        })));

        Assert.Empty(_log.Lines);
        Assert.EndsWith(".json", OnlyPath, StringComparison.Ordinal);
    }

    [Fact]
    public void It_is_nobody_elses_to_read()
    {
        _file.Write(Listing(1));

        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(OnlyPath));
        }
    }

    [Fact]
    public async Task A_path_that_the_system_does_not_accept_is_logged_and_no_more()
    {
        var file = new SnapshotFile("/tmp/a\0b", "svc", "services/svc/", TimeProvider.System, _log);
        file.Follow(new ServiceSnapshot("svc", []));

        await file.FlushAsync(() => Listing(1));

        Assert.Single(_log.At(Microsoft.Extensions.Logging.LogLevel.Warning));
        Assert.False(file.TryRead(out _));
    }

    [Fact]
    public void It_says_when_it_was_written()
    {
        var clock = new FakeTimeProvider();
        var file = new SnapshotFile(_directory, "svc", "services/svc/", clock, _log);
        file.Write(Listing(1));

        Assert.True(file.TryRead(out _, out var writtenAt));
        Assert.Equal(clock.GetUtcNow(), writtenAt);
    }

    [Fact]
    public void A_file_with_any_damage_to_its_records_reads_as_none_and_never_throws()
    {
        _file.Write(Listing(2));
        var whole = File.ReadAllBytes(OnlyPath);
        var path = OnlyPath;
        for (var i = 0; i < whole.Length; i++)
        {
            var damaged = whole.ToArray();
            damaged[i] ^= 0x01;
            File.WriteAllBytes(path, damaged);
            if (_file.TryRead(out var read))
            {
                // Damage to the revision or the cluster cannot be told; the records are whole.
                Assert.Equal(["services/svc/0", "services/svc/1"], read.Items.Select(r => r.Key));
            }

            File.WriteAllBytes(path, whole[..i]);
            Assert.False(_file.TryRead(out _));
        }
    }

    [Fact]
    public void A_file_of_another_format_or_service_is_left_alone()
    {
        _file.Write(Listing(1));
        var path = OnlyPath;
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"version\":1", "\"version\":2", StringComparison.Ordinal));

        Assert.False(_file.TryRead(out _));
        Assert.Contains(_log.Lines, l => l.Contains("damaged or of another format", StringComparison.Ordinal));
        Assert.False(new SnapshotFile(_directory, "svc", "other/svc/", TimeProvider.System, _log).TryRead(out _));
    }

    [Fact]
    public void A_directory_that_cannot_be_written_is_logged_once_until_it_could_be()
    {
        for (var i = 1; i <= 2; i++)
        {
            File.WriteAllText(_directory, "a file");
            _file.Write(Listing(1));
            _file.Write(Listing(2));

            Assert.Equal(i, _log.Lines.Count(static l => l.Contains("could not be written", StringComparison.Ordinal)));
            File.Delete(_directory);
            _file.Write(Listing(3));
            Directory.Delete(_directory, recursive: true);
        }
    }

    [Fact]
    public void What_could_not_be_written_leaves_nothing_behind()
    {
        _file.Write(Listing(1));
        var path = OnlyPath;
        File.Delete(path);
        Directory.CreateDirectory(path);

        for (var i = 0; i < 3; i++)
        {
            _file.Write(Listing(1));
        }

        Assert.Contains(_log.Lines, static l => l.Contains("could not be written", StringComparison.Ordinal));
        Assert.Equal([path], Directory.GetFileSystemEntries(_directory));
    }

    private static EtcdListing Listing(int count) => new()
    {
        Items = [.. Enumerable.Range(0, count).Select(i => new EtcdKeyValue
        {
            KeyBytes = Encoding.UTF8.GetBytes($"services/svc/{i}"),
            Value = Encoding.UTF8.GetBytes($"value {i}"),
            CreateRevision = i,
            ModRevision = i,
            Version = 1,
        })],
        Revision = 42,
        ClusterId = 0xabc,
    };
}
