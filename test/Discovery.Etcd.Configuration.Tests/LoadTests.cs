using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Configuration.Tests;

/// <summary>What the first load finds, and what it does where there is nothing to find.</summary>
public sealed class LoadTests : IAsyncLifetime
{
    private EtcdFixture _etcd = null!;

    public async Task InitializeAsync() => _etcd = await EtcdFixture.StartAsync();

    public async Task DisposeAsync() => await _etcd.DisposeAsync();

    [Fact]
    public async Task Keys_and_documents_are_there_at_once_and_go_before_earlier_sources()
    {
        await _etcd.PutAsync("config/shop/Smtp/Host", "mail");
        await _etcd.PutAsync("config/shop/appsettings.json", """{ "Title": "Shop", "Tags": ["a", "b"] }""");
        await _etcd.PutAsync("config/shop/Features", """{ "Cart": true }""");
        await _etcd.PutAsync("config/shop2/Title", "other");
        using var configuration = _etcd.Configure("config/shop");

        Assert.Equal("mail", configuration["smtp:HOST"]);
        Assert.Equal("Shop", configuration["Title"]);
        Assert.Equal("b", configuration["Tags:1"]);
        Assert.Equal("True", configuration["Features:Cart"]);
        Assert.Empty(_etcd.Problems);
    }

    [Fact]
    public async Task A_plain_builder_reads_the_endpoints_of_the_sources_before_it()
    {
        await _etcd.PutAsync("config/shop/Title", "Shop");
        var builder = new ConfigurationBuilder()
            .AddInMemoryCollection([new("ConnectionStrings:etcd", _etcd.Proxy.Endpoint)])
            .AddEtcd("config/shop/");

        var configuration = builder.Build();

        Assert.Equal("Shop", configuration["Title"]);
        (configuration as IDisposable)?.Dispose();
    }

    [Fact]
    public async Task Another_section_and_options_of_code_lead_to_another_cluster()
    {
        await _etcd.PutAsync("config/shop/Title", "Shop");
        using var configuration = new ConfigurationManager();
        configuration["Etcd:Clusters:dc2:Username"] = "nobody";
        configuration["ConnectionStrings:dc2"] = _etcd.Proxy.Endpoint;

        configuration.AddEtcd("config/shop/", o =>
        {
            o.Section = "Etcd:Clusters:dc2";
            o.ConfigureClient = c => c.Username = null;
        });

        Assert.Equal("Shop", configuration["Title"]);
    }

    [Fact]
    public void A_required_configuration_that_cannot_be_had_names_all_that_helps()
    {
        _etcd.Disconnect();

        var error = Assert.Throws<InvalidOperationException>(() => _etcd.Configure(configure: o => o.ReadyTimeout = TimeSpan.FromSeconds(4)));

        Assert.Contains("'config/shop/' could not be read within 4 s (EtcdConfigurationOptions.ReadyTimeout)", error.Message, StringComparison.Ordinal);
        Assert.Contains($"{_etcd.Proxy.Endpoint}/ (Etcd:Endpoints)", error.Message, StringComparison.Ordinal);
        Assert.Contains(Assert.IsType<EtcdException>(error.InnerException).Message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_configuration_of_another_section_names_that_one_alone()
    {
        _etcd.Disconnect();
        using var configuration = new ConfigurationManager();
        configuration["Etcd:Clusters:dc2:Endpoints"] = _etcd.Proxy.Endpoint;

        var error = Assert.Throws<InvalidOperationException>(
            () => configuration.AddEtcd("config/shop/", o => (o.Section, o.ReadyTimeout) = ("Etcd:Clusters:dc2", TimeSpan.FromSeconds(4))));

        Assert.Contains("Check that etcd runs there, that Etcd:Clusters:dc2:Endpoints names its client URLs", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("Etcd:Endpoints", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_required_configuration_waits_for_an_etcd_that_comes_within_the_limit()
    {
        await _etcd.PutAsync("config/shop/Title", "Shop");
        _etcd.Disconnect();

        var loading = Task.Run(() => _etcd.Configure(configure: o => o.ReadyTimeout = TimeSpan.FromSeconds(30)));
        await Eventually.IsTrue(() => _etcd.Log.Has(LogLevel.Warning, "cannot be read"));
        _etcd.Connect();

        using var configuration = await loading;
        Assert.Equal("Shop", configuration["Title"]);
    }

    [Fact]
    public async Task An_optional_configuration_starts_empty_and_fills_in_when_etcd_answers()
    {
        await _etcd.PutAsync("config/shop/Title", "Shop");
        _etcd.Disconnect();
        var watch = Stopwatch.StartNew();

        using var configuration = _etcd.Configure(configure: o => (o.Optional, o.ReadyTimeout) = (true, TimeSpan.FromMinutes(1)));

        Assert.Null(configuration["Title"]);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30), "It waited longer than until etcd was known to be away.");
        Assert.Contains("'config/shop/' cannot be read; there is none until then", Assert.Single(_etcd.Problems).Message, StringComparison.Ordinal);
        using var changed = new CountdownEvent(1);
        using var subscription = configuration.GetReloadTokenChanges(() => changed.Signal());

        _etcd.Connect();

        await Eventually.IsTrue(() => configuration["Title"] == "Shop" && changed.IsSet);
    }

    [Fact]
    public async Task An_etcd_that_does_not_answer_does_not_hold_up_an_optional_configuration()
    {
        _etcd.Etcd.Pause();

        using var configuration = _etcd.Configure(configure: o => (o.Optional, o.ReadyTimeout) = (true, TimeSpan.FromMilliseconds(200)));

        Assert.Contains("etcd did not answer yet", Assert.Single(_etcd.Problems).Message, StringComparison.Ordinal);
        _etcd.Etcd.Resume();
        await _etcd.PutAsync("config/shop/Title", "Shop");
        await Eventually.IsTrue(() => configuration["Title"] == "Shop");
    }

    [Fact]
    public async Task The_first_load_is_no_change()
    {
        await _etcd.PutAsync("config/shop/Title", "1");
        using var slow = LoggerFactory.Create(l => l.AddProvider(new SlowLog()));
        using var configuration = _etcd.Configure(configure: o => o.LoggerFactory = slow);
        var changes = new ConcurrentQueue<string?>();
        using var subscription = configuration.GetReloadTokenChanges(() => changes.Enqueue(configuration["Title"]));

        await _etcd.PutAsync("config/shop/Title", "2");

        await Eventually.IsTrue(() => configuration["Title"] == "2" && !changes.IsEmpty);
        Assert.Equal(["2"], changes);
    }

    [Fact]
    public void A_prefix_without_keys_is_said()
    {
        using var configuration = _etcd.Configure("config/shpo/");

        Assert.Equal("There is no key under 'config/shpo/' that can be used.", Assert.Single(_etcd.Problems).Message);
    }

    /// <summary>Takes its time for each line, so that what waits for less than the whole of a load goes on before its end.</summary>
    private sealed class SlowLog : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel == LogLevel.Information;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            => Thread.Sleep(TimeSpan.FromMilliseconds(300));

        public void Dispose()
        {
        }
    }
}
