using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.Etcd.Configuration.Tests;

/// <summary>Settings that are wrong are said before anything is dialled.</summary>
public sealed class WrongSettingsTests
{
    [Theory]
    [InlineData("")]
    [InlineData("/")]
    public void A_prefix_that_is_all_of_etcd_is_refused(string prefix)
    {
        using var configuration = new ConfigurationManager();

        Assert.Contains("config/shop/", Assert.Throws<ArgumentException>(() => configuration.AddEtcd(prefix)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Etcd:Endpoints", "ftp://a", "Etcd:Endpoints", "'ftp://a'")]
    [InlineData("Etcd:RequestTimeout", "00:00:00", "Etcd:RequestTimeout", "00:00:05")]
    [InlineData("Etcd:Tls", "yes", "Etcd:Tls is 'yes'", "section")]
    [InlineData("Other", "", "Etcd:Endpoints", "http://", "ConnectionStrings:etcd")]
    public void A_wrong_setting_is_named_with_a_valid_one(string key, string value, params string[] said)
    {
        using var configuration = new ConfigurationManager();
        configuration[key] = value;

        var error = Assert.Throws<OptionsValidationException>(() => configuration.AddEtcd("config/shop/"));

        Assert.All(said, s => Assert.Contains(s, error.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void A_value_that_cannot_be_read_is_named()
    {
        using var configuration = new ConfigurationManager();
        configuration["Etcd:RequestTimeout"] = "soon";

        var error = Assert.Throws<InvalidOperationException>(() => configuration.AddEtcd("config/shop/"));

        Assert.Equal("Etcd:RequestTimeout is 'soon'; it must be a time, e.g. 00:00:05.", error.Message);
    }

    [Fact]
    public void Wrong_options_are_named_with_valid_ones()
    {
        using var configuration = new ConfigurationManager();

        var error = Assert.Throws<OptionsValidationException>(() => configuration.AddEtcd("config/shop/", o => (o.ReadyTimeout, o.Section) = (TimeSpan.Zero, " ")));

        Assert.Contains("EtcdConfigurationOptions.ReadyTimeout is 00:00:00; it must be between 10 ms and 10 minutes, e.g. 00:00:10", error.Message, StringComparison.Ordinal);
        Assert.Contains("EtcdConfigurationOptions.Section is ' '", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_password_is_never_said()
    {
        using var configuration = new ConfigurationManager();
        configuration["Etcd:Endpoints"] = "ftp://a";
        configuration["Etcd:Username"] = "shop";
        configuration["Etcd:Password"] = "s3cret";

        var error = Assert.Throws<OptionsValidationException>(() => configuration.AddEtcd("config/shop/"));

        Assert.DoesNotContain("s3cret", error.ToString(), StringComparison.Ordinal);
    }
}
