using Discovery.AspNetCore.Registration;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Registration;

public sealed class RegistrationSettingsTests : IDisposable
{
    private readonly IConfigurationRoot _configuration = new ConfigurationBuilder()
        .AddInMemoryCollection([new("Etcd:Registration:ServiceName", "greeter"), new("Etcd:Registration:Weight", "5")])
        .Build();

    private readonly LogRecorder _log = new();
    private readonly ServiceProvider _provider;
    private readonly RegistrationSettings _settings;
    private int _changes;

    public RegistrationSettingsTests()
    {
        _provider = Build();
        _settings = _provider.GetRequiredService<RegistrationSettings>();
        _settings.OnChange(() => _changes++);
    }

    [Fact]
    public void A_change_is_read_again_as_a_whole_and_code_still_wins()
    {
        Assert.Equal(5, _settings.Current.Weight);

        Reload("Weight", "7");
        Reload("Zone", "us-1");

        Assert.Equal((7, "eu-1", 2), (_settings.Current.Weight, _settings.Current.Zone, _changes));
    }

    [Theory]
    [InlineData("Weight", "-1", "Etcd:Registration:Weight is '-1'")]
    [InlineData("Weight", "heavy", "heavy")]
    public void A_change_that_is_not_valid_is_logged_and_what_was_valid_goes_on(string setting, string value, string shown)
    {
        Reload(setting, value);

        Assert.Equal((5, 0), (_settings.Current.Weight, _changes));
        Assert.True(_log.Has(LogLevel.Error, "not used", shown));

        Reload(setting, "8");
        Assert.Equal((8, 1), (_settings.Current.Weight, _changes));
    }

    [Fact]
    public void What_is_not_valid_is_said_once_until_it_was_valid_again()
    {
        Reload("Weight", "-1");
        Reload("Weight", "-1");
        Assert.Single(_log.At(LogLevel.Error));

        Reload("Weight", "-2");
        Assert.Equal(2, _log.At(LogLevel.Error).Count);

        Reload("Weight", "5");
        Reload("Weight", "-2");
        Assert.Equal(3, _log.At(LogLevel.Error).Count);
    }

    [Fact]
    public void Settings_that_a_reload_did_not_change_are_the_same()
    {
        Reload("Metadata:team", "a");
        var before = _settings.Current;

        Reload("Metadata:team", "a");
        Assert.Same(before, _settings.Current);
        Assert.Equal(2, _changes);

        Reload("Metadata:team", "b");
        Assert.NotSame(before, _settings.Current);
    }

    [Theory]
    [InlineData("InstanceId", "other")]
    [InlineData("TimeToLive", "00:00:20")]
    [InlineData("FailFast", "true")]
    [InlineData("StartWithdrawn", "true")]
    public void A_setting_that_holds_until_the_next_start_says_so(string setting, string value)
    {
        Reload(setting, value);

        Assert.True(_log.Has(LogLevel.Warning, $"Etcd:Registration:{setting}", "next start"));
    }

    [Fact]
    public void A_change_before_anybody_listens_is_not_lost()
    {
        using var provider = Build();
        var settings = provider.GetRequiredService<RegistrationSettings>();
        Assert.Equal(5, settings.Current.Weight);
        Reload("Weight", "7");
        var changes = 0;

        using var subscription = settings.OnChange(() => changes++);

        Assert.Equal((7, 1), (settings.Current.Weight, changes));
    }

    [Fact]
    public void What_is_switched_off_while_it_runs_is_told_once()
    {
        Reload("Enabled", "false");
        Reload("Enabled", "false");

        Assert.Single(_log.At(LogLevel.Information), static l => l.Contains("Etcd:Registration:Enabled was changed to false", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("TimeToLive", "00:00:00", "00:00:10")]
    [InlineData("DrainDelay", "-00:00:01", "00:00:01")]
    [InlineData("LeaveDelay", "10:00:00", "00:00:01")]
    [InlineData("StopTimeout", "00:00:00", "00:00:02")]
    [InlineData("Health:Interval", "00:00:00", "00:00:05")]
    [InlineData("Health:Timeout", "-00:00:01", "00:00:10")]
    [InlineData("InstanceId", " ", null)]
    public void Of_the_settings_of_a_registration_that_is_switched_off_only_valid_ones_are_used(string setting, string value, string? used)
    {
        Set("Enabled", "false");
        Set(setting, value);
        using var provider = Build();
        var atStart = provider.GetRequiredService<RegistrationSettings>().Current;
        _configuration.Reload();

        Assert.All([atStart, _settings.Current], settings => Assert.Equal(used, Read(settings, setting)));
        Assert.Equal(1, _changes);
        Assert.Empty(_log.At(LogLevel.Error));
    }

    [Theory]
    [InlineData("TimeToLive", "00:00:20")]
    [InlineData("DrainDelay", "00:00:03")]
    [InlineData("LeaveDelay", "00:00:03")]
    [InlineData("StopTimeout", "00:00:05")]
    [InlineData("Health:Interval", "00:00:30")]
    [InlineData("Health:Timeout", "00:00:30")]
    [InlineData("Health:Tag", "live")]
    [InlineData("Health:Enabled", "False")]
    [InlineData("Health:UnhealthyThreshold", "7")]
    [InlineData("Health:HealthyThreshold", "7")]
    [InlineData("InstanceId", "greeter-1")]
    [InlineData("GracefulStop", "False")]
    [InlineData("FailFast", "True")]
    [InlineData("StartWithdrawn", "True")]
    public void What_is_valid_holds_for_a_registration_that_is_switched_on_later(string setting, string value)
    {
        Set("Enabled", "false");
        Set(setting, value);
        Set("Layout", "Nonsense");
        using var provider = Build();

        Assert.Equal(value, Read(provider.GetRequiredService<RegistrationSettings>().Current, setting));
    }

    public void Dispose() => _provider.Dispose();

    private static string? Read(EtcdRegistrationOptions settings, string setting)
    {
        object? read = settings;
        foreach (var name in setting.Split(':'))
        {
            read = read?.GetType().GetProperty(name)?.GetValue(read);
        }

        return read?.ToString();
    }

    private ServiceProvider Build()
    {
        var services = new ServiceCollection();
        services.AddLogging(logging => logging.AddProvider(_log));
        services.AddSingleton<IConfiguration>(_configuration);
        services.AddEtcdRegistration(options => options.Zone = "eu-1");
        return services.BuildServiceProvider();
    }

    private void Reload(string setting, string value)
    {
        Set(setting, value);
        _configuration.Reload();
    }

    private void Set(string setting, string value) => _configuration[$"Etcd:Registration:{setting}"] = value;
}
