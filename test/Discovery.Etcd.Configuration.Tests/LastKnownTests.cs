using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Configuration.Tests;

/// <summary>The last known configuration on disk.</summary>
public sealed class LastKnownTests : IAsyncLifetime, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private EtcdFixture _etcd = null!;

    public async Task InitializeAsync() => _etcd = await EtcdFixture.StartAsync();

    public async Task DisposeAsync() => await _etcd.DisposeAsync();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_start_without_etcd_takes_what_was_known_last_and_then_what_is_there()
    {
        await WriteAsync("1");
        _etcd.Disconnect();

        using var configuration = Configure();

        Assert.Equal("1", configuration["Title"]);
        Assert.Contains($"that of {_directory.SingleFile} stands, written ", Assert.Single(_etcd.Problems).Message, StringComparison.Ordinal);
        await _etcd.PutAsync("config/shop/Title", "2");
        _etcd.Connect();
        await Eventually.IsTrue(() => configuration["Title"] == "2");
    }

    [Fact]
    public async Task The_file_is_for_its_user_alone_and_follows_changes()
    {
        await _etcd.PutAsync("config/shop/Title", "1");
        using var configuration = Configure();
        await Eventually.IsTrue(() => Directory.Exists(_directory.Path) && Directory.GetFiles(_directory.Path, "*.json").Length == 1);
        var before = await File.ReadAllTextAsync(_directory.SingleFile);

        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_directory.SingleFile));
        }

        await _etcd.PutAsync("config/shop/Title", "2");
        await Eventually.IsTrue(() => File.ReadAllText(_directory.SingleFile) != before);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{ \"version\": 99 }")]
    [InlineData("no JSON at all")]
    public async Task A_file_that_is_damaged_is_not_used_and_said(string content)
    {
        await WriteAsync("s3cret");
        await File.WriteAllTextAsync(_directory.SingleFile, content);
        _etcd.Disconnect();

        Assert.Throws<InvalidOperationException>(() => Configure(o => o.ReadyTimeout = TimeSpan.FromMilliseconds(100)));

        Assert.True(_etcd.Log.Has(LogLevel.Warning, _directory.SingleFile, "is not used"));
    }

    [Fact]
    public async Task A_file_with_a_changed_value_is_not_used_and_the_value_not_said()
    {
        await WriteAsync("s3cret");
        var content = await File.ReadAllTextAsync(_directory.SingleFile);
        await File.WriteAllTextAsync(_directory.SingleFile, Regex.Replace(content, "\"value\":\"[^\"]*\"", "\"value\":\"AAAA\""));
        _etcd.Disconnect();

        using var configuration = Configure(o => o.Optional = true);

        Assert.Null(configuration["Title"]);
        Assert.Contains(_etcd.Problems, p => p.Message.Contains("is damaged", StringComparison.Ordinal));
        Assert.DoesNotContain(_etcd.Log.Lines, l => l.Contains("s3cret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_document_that_is_broken_at_the_start_is_taken_from_the_file()
    {
        await _etcd.PutAsync("config/shop/a.json", """{ "Title": "good" }""");
        await WriteAsync("x");
        await _etcd.PutAsync("config/shop/a.json", "{ broken");

        using (var configuration = Configure())
        {
            Assert.Equal("good", configuration["Title"]);
        }

        // What was written then is the good one again.
        using var again = Configure();
        Assert.Equal("good", again["Title"]);
    }

    [Fact]
    public async Task An_emptied_prefix_does_not_empty_the_file()
    {
        await WriteAsync("1");
        await _etcd.Client.DeleteAsync("config/shop/Title");
        using (var configuration = Configure())
        {
            Assert.Null(configuration["Title"]);
        }

        _etcd.Disconnect();
        using var again = Configure();

        Assert.Equal("1", again["Title"]);
    }

    [Theory]
    [InlineData("config/shop/", "folder")]
    [InlineData("config/shop/other.json", "{ broken")]
    public async Task A_prefix_without_any_usable_key_does_not_empty_the_file(string key, string value)
    {
        await WriteAsync("1");
        await _etcd.PutAsync(key, value);
        await _etcd.Client.DeleteAsync("config/shop/Title");
        using (var configuration = Configure())
        {
            Assert.Null(configuration["Title"]);
        }

        Assert.Contains(_etcd.Problems, static p => p.Message == "There is no key under 'config/shop/' that can be used.");
        _etcd.Disconnect();
        using var again = Configure();

        Assert.Equal("1", again["Title"]);
    }

    /// <summary>Such as one that another version wrote.</summary>
    [Fact]
    public async Task A_file_without_records_is_nothing_to_start_from()
    {
        await WriteAsync("1");
        var content = await File.ReadAllTextAsync(_directory.SingleFile);
        content = Regex.Replace(content, "\"sha256\":.*$", $"\"sha256\":\"{Convert.ToHexStringLower(SHA256.HashData("[]"u8))}\",\"records\":[]}}");
        await File.WriteAllTextAsync(_directory.SingleFile, content);
        _etcd.Disconnect();

        Assert.Throws<InvalidOperationException>(() => Configure(o => o.ReadyTimeout = TimeSpan.FromMilliseconds(100)));

        Assert.False(_etcd.Log.Has(LogLevel.Warning, _directory.SingleFile, "is not used"));
    }

    [Fact]
    public async Task A_directory_that_cannot_be_written_is_said_and_nothing_depends_on_it()
    {
        await _etcd.PutAsync("config/shop/Title", "1");
        await File.WriteAllTextAsync(_directory.Path, "a file");

        try
        {
            using var configuration = Configure();

            await Eventually.IsTrue(() => _etcd.Problems.Any(p => p.Message.Contains("could not be written to", StringComparison.Ordinal)));
            Assert.Equal("1", configuration["Title"]);
        }
        finally
        {
            File.Delete(_directory.Path);
        }
    }

    private async Task WriteAsync(string title)
    {
        await _etcd.PutAsync("config/shop/Title", title);
        using var configuration = Configure();
        await Eventually.IsTrue(() => Directory.Exists(_directory.Path) && Directory.GetFiles(_directory.Path, "*.json").Length == 1);
    }

    private ConfigurationManager Configure(Action<EtcdConfigurationOptions>? configure = null) => _etcd.Configure(configure: o =>
    {
        o.SnapshotDirectory = _directory.Path;
        configure?.Invoke(o);
    });
}
