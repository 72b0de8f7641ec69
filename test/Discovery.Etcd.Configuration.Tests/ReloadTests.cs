using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.Etcd.Configuration.Tests;

/// <summary>How changes arrive, whatever breaks meanwhile.</summary>
public sealed class ReloadTests : IAsyncLifetime
{
    private EtcdFixture _etcd = null!;

    public async Task InitializeAsync() => _etcd = await EtcdFixture.StartAsync();

    public async Task DisposeAsync() => await _etcd.DisposeAsync();

    [Fact]
    public async Task A_thousand_reloads_are_seen_whole_through_breaks_and_compactions()
    {
        const int Reloads = 1_000;
        await PutPairAsync(0);
        using var configuration = _etcd.Configure();
        await using var services = new ServiceCollection().Configure<Pair>(configuration.GetSection("Pair")).BuildServiceProvider();
        var monitor = services.GetRequiredService<IOptionsMonitor<Pair>>();
        using var stop = new CancellationTokenSource();
        var seen = new HashSet<int> { monitor.CurrentValue.One };
        List<Pair> torn = [];
        var reading = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                var pair = monitor.CurrentValue;
                seen.Add(pair.One);
                if (pair.One != pair.Two)
                {
                    torn.Add(pair);
                }
            }
        });

        for (var i = 1; i <= Reloads; i++)
        {
            await PutPairAsync(i);
            if (i % 250 == 0)
            {
                _etcd.Proxy.CutAll();
                _etcd.Etcd.Compact();
            }
        }

        await Eventually.IsTrue(() => monitor.CurrentValue.One == Reloads);
        await stop.CancelAsync();
        await reading;
        Assert.Empty(torn);
        Assert.True(seen.Count > 10, $"Only {seen.Count} states were seen.");
    }

    [Fact]
    public async Task A_deleted_key_is_gone_and_the_earlier_source_shows_again()
    {
        await _etcd.PutAsync("config/shop/Title", "etcd");
        using var configuration = _etcd.Configure();
        configuration.Sources.Insert(0, new Microsoft.Extensions.Configuration.Memory.MemoryConfigurationSource { InitialData = [new("Title", "file")] });
        Assert.Equal("etcd", configuration["Title"]);

        await _etcd.Client.DeleteAsync("config/shop/Title");

        await Eventually.IsTrue(() => configuration["Title"] == "file");
    }

    [Fact]
    public async Task A_document_that_is_no_JSON_leaves_its_last_good_one_and_says_so_without_its_value()
    {
        await _etcd.PutAsync("config/shop/db.json", """{ "Password": "s3cret-old" }""");
        await _etcd.PutAsync("config/shop/Smtp", """{ "Host": "mail" }""");
        using var configuration = _etcd.Configure();

        await _etcd.PutAsync(("config/shop/db.json", """{ "Password": "s3cret-new", """), ("config/shop/Smtp", "s3cret-text"), ("config/shop/Title", "Shop"));

        await Eventually.IsTrue(() => configuration["Title"] == "Shop");
        Assert.Equal("s3cret-old", configuration["Password"]);
        Assert.Equal("mail", configuration["Smtp:Host"]);
        Assert.Equal(["config/shop/Smtp", "config/shop/db.json"], _etcd.Problems.Select(p => p.Key!));
        Assert.All(_etcd.Problems, p => Assert.Contains("Its last usable value stands", p.Message, StringComparison.Ordinal));
        Assert.True(_etcd.Log.Has(LogLevel.Warning, "config/shop/db.json", "it is no JSON", "line 1"));
        Assert.DoesNotContain(_etcd.Log.Lines, l => l.Contains("s3cret", StringComparison.Ordinal));
        Assert.DoesNotContain(_etcd.Problems, p => p.ToString().Contains("s3cret", StringComparison.Ordinal));

        // The same mistake again is not news; its repair is.
        await _etcd.PutAsync("config/shop/db.json", """{ "Password": "s3cret-new", """);
        await _etcd.PutAsync("config/shop/db.json", """{ "Password": "s3cret-new" }""");
        await Eventually.IsTrue(() => configuration["Password"] == "s3cret-new");
        Assert.Equal(2, _etcd.Problems.Count);
    }

    [Fact]
    public async Task An_outage_leaves_the_settings_and_is_said_once_when_it_begins_and_ends()
    {
        await _etcd.PutAsync("config/shop/Title", "1");
        using var configuration = _etcd.Configure();

        _etcd.Disconnect();
        await _etcd.PutAsync("config/shop/Title", "2");
        await Eventually.IsTrue(() => _etcd.Problems.Count == 1);
        Assert.Equal("1", configuration["Title"]);
        Assert.Contains("the last one stands", _etcd.Problems[0].Message, StringComparison.Ordinal);
        _etcd.Etcd.Compact();
        _etcd.Connect();

        await Eventually.IsTrue(() => configuration["Title"] == "2" && _etcd.Log.Lines.Any(l => l.Contains("can be read again", StringComparison.Ordinal)));
        Assert.Single(_etcd.Problems);
        Assert.Single(_etcd.Log.At(LogLevel.Warning));
    }

    [Fact]
    public async Task A_handler_that_throws_does_not_end_the_reloading()
    {
        using var configuration = _etcd.Configure();
        using var subscription = configuration.GetReloadTokenChanges(() => throw new InvalidOperationException("mine"));

        await _etcd.PutAsync("config/shop/Title", "1");
        await Eventually.IsTrue(() => _etcd.Problems.Any(p => p.Message.Contains("handler", StringComparison.Ordinal)));
        await _etcd.PutAsync("config/shop/Title", "2");

        await Eventually.IsTrue(() => configuration["Title"] == "2");
    }

    [Fact]
    public async Task A_change_that_changes_no_setting_raises_nothing()
    {
        await _etcd.PutAsync("config/shop/Title", "1");
        using var configuration = _etcd.Configure();
        var changes = 0;
        using var subscription = configuration.GetReloadTokenChanges(() => Interlocked.Increment(ref changes));

        await _etcd.PutAsync("config/shop/Title", "1");
        await _etcd.PutAsync("config/shop/Title", "2");

        await Eventually.IsTrue(() => Volatile.Read(ref changes) > 0);
        Assert.Equal("2", configuration["Title"]);
        Assert.Equal(1, Volatile.Read(ref changes));
    }

    [Fact]
    public async Task Sources_built_anew_and_disposal_leave_no_watch_and_no_connection_behind()
    {
        await _etcd.PutAsync("config/shop/Title", "Shop");
        var configuration = _etcd.Configure();
        for (var i = 0; i < 3; i++)
        {
            configuration.Sources.Insert(0, new Microsoft.Extensions.Configuration.Memory.MemoryConfigurationSource());
            ((IConfigurationRoot)configuration).Reload();
        }

        Assert.Equal("Shop", configuration["Title"]);
        await Eventually.IsTrue(() => _etcd.Etcd.Watchers == 1);

        configuration.Dispose();

        await Eventually.IsTrue(() => _etcd.Etcd.Watchers == 0 && _etcd.Proxy.Open == 0);
    }

    [Fact]
    public async Task A_configuration_that_is_disposed_by_a_handler_of_its_change_ends()
    {
        var configuration = _etcd.Configure();
        using var subscription = configuration.GetReloadTokenChanges(configuration.Dispose);

        await _etcd.PutAsync("config/shop/Title", "1");

        await Eventually.IsTrue(() => _etcd.Proxy.Open == 0);
    }

    private async Task PutPairAsync(int value)
    {
        var text = value.ToString(CultureInfo.InvariantCulture);
        await _etcd.PutAsync(("config/shop/Pair/One", text), ("config/shop/pair.json", $$"""{ "Pair": { "Two": {{text}} } }"""));
    }

    public sealed class Pair
    {
        public int One { get; set; }

        public int Two { get; set; }
    }
}
