using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Hosting;

/// <summary>Each wrong setting gives an error that names it, its value, and a valid one.</summary>
public sealed class ValidateRegistrationTests
{
    [Theory]
    [InlineData("ServiceName", "a/b", "'a/b'", "e.g. EtcdNaming:shop/")]
    [InlineData("ServiceName", "a b", "'a b'", "e.g. helloworld.Greeter")]
    [InlineData("InstanceId", " ", "' '", "e.g. greeter-1")]
    [InlineData("Layout", "Zookeeper", "'Zookeeper'", "EtcdNaming")]
    [InlineData("Layout", "", "''", "EtcdNaming")]
    [InlineData("TimeToLive", "00:00:01", "'00:00:01'", "e.g. 00:00:10")]
    [InlineData("TimeToLive", "00:00:10.5", "'00:00:10.5", "e.g. 00:00:10")]
    [InlineData("TimeToLive", "10", "'10', which would be days", "write 00:00:10 for 10 s, or 10.00:00:00 where days are meant")]
    [InlineData("AdvertisedUrls:0", "10.0.0.1:5000", "'10.0.0.1:5000'", "e.g. http://10.0.0.1:5000")]
    [InlineData("AdvertisedUrls:0", "grpc://10.0.0.1:5000", "'grpc://10.0.0.1:5000'", "e.g. http://10.0.0.1:5000")]
    [InlineData("AdvertisedUrls:0", "http://0.0.0.0:5000", "'http://0.0.0.0:5000'", "e.g. http://10.0.0.1:5000")]
    [InlineData("AdvertisedUrls:0", "http://[::]:5000", "'http://[::]:5000'", "e.g. http://10.0.0.1:5000")]
    [InlineData("AdvertisedUrls:0", "http://*:5000", "'http://*:5000'", "e.g. http://10.0.0.1:5000")]
    [InlineData("AdvertisedUrls:0", "http://10.0.0.1:0", "'http://10.0.0.1:0'", "e.g. http://10.0.0.1:5000")]
    [InlineData("AdvertisedUrls:0", "http://10.0.0.1:5000/base", "'http://10.0.0.1:5000/base'", "e.g. http://10.0.0.1:5000")]
    [InlineData("AdvertisedUrls:0", "http://me@10.0.0.1:5000", "'http://***@10.0.0.1:5000'", "e.g. http://10.0.0.1:5000")]
    [InlineData("AdvertisedHost", "", "''", "e.g. 10.0.0.1")]
    [InlineData("AdvertisedHost", "0.0.0.0", "'0.0.0.0'", "e.g. 10.0.0.1")]
    [InlineData("AdvertisedHost", "::", "'::'", "e.g. 10.0.0.1")]
    [InlineData("AdvertisedHost", "10.0.0.1:5000", "'10.0.0.1:5000'", "e.g. 10.0.0.1")]
    [InlineData("AdvertisedPort", "0", "'0'", "e.g. 5000")]
    [InlineData("AdvertisedPort", "65536", "'65536'", "e.g. 5000")]
    [InlineData("PreferredNetworks:0", "10.0.0.1", "'10.0.0.1'", "e.g. 10.0.0.0/8")]
    [InlineData("Weight", "-1", "'-1'", "e.g. 10")]
    [InlineData("Health:MinimumInstances", "-1", "'-1'", "e.g. 1")]
    [InlineData("Weight", "1000001", "'1000001'", "e.g. 10")]
    [InlineData("Metadata:weight", "3", "is taken", "e.g. x-weight")]
    [InlineData("DrainDelay", "-00:00:01", "'-00:00:01'", "e.g. 00:00:01")]
    [InlineData("DrainDelay", "2", "'2', which would be days", "write 00:00:02 for 2 s")]
    [InlineData("DrainDelay", "2.00:00:00", "'2.00:00:00'", "e.g. 00:00:01")]
    [InlineData("LeaveDelay", "-00:00:01", "'-00:00:01'", "e.g. 00:00:01")]
    [InlineData("StopTimeout", "00:00:00", "'00:00:00'", "e.g. 00:00:01")]
    [InlineData("Health:Interval", "00:00:00", "'00:00:00'", "e.g. 00:00:05")]
    [InlineData("Health:Timeout", "10", "'10', which would be days", "write 00:00:10 for 10 s")]
    [InlineData("Health:Timeout", "10.00:00:00", "'10.00:00:00'", "e.g. 00:00:10")]
    [InlineData("Health:UnhealthyThreshold", "0", "'0'", "e.g. 2")]
    [InlineData("Health:HealthyThreshold", "-1", "'-1'", "e.g. 2")]
    [InlineData("Health:UnhealthyThreshold", "2147483647", "'2147483647'", "e.g. 2")]
    [InlineData("Health:Tag", " ", "' '", "e.g. ready")]
    [InlineData("Zone", " ", "' '", "e.g. eu-1a")]
    [InlineData("Version", "2\n", "'2\n'", "e.g. 2.1")]
    [InlineData("Tags:0", "a\0", "'a\0'", "e.g. canary")]
    [InlineData("Services:User:Version", "2 ", "'2 '", "e.g. 2.1")]
    [InlineData("Services:User:Layout", "Zookeeper", "'Zookeeper'", "EtcdNaming")]
    [InlineData("Services:User:Weight", "-1", "'-1'", "e.g. 10")]
    [InlineData("Services:User:Metadata:id", "3", "is taken", "e.g. x-id")]
    [InlineData("Endpoints:Web:AdvertisedUrl", "", "''", "e.g. http://10.0.0.1:5000")]
    [InlineData("Endpoints:Web:AdvertisedUrl", "web", "'web'", "e.g. http://10.0.0.1:5000")]
    [InlineData("Endpoints:Web:Metadata:zone", "3", "is taken", "e.g. x-zone")]
    public void A_wrong_setting_is_named_with_its_value_and_a_valid_one(string setting, string value, string shown, string valid)
    {
        var failure = Assert.Single(Failures(setting == "ServiceName" ? [new(setting, value)] : [new("ServiceName", "greeter"), new(setting, value)]));

        Assert.Contains($"Etcd:Registration:{setting}", failure, StringComparison.Ordinal);
        Assert.Contains(shown, failure, StringComparison.Ordinal);
        Assert.Contains(valid, failure, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("AdvertisedUrls:0", "http://user:s3cret@10.0.0.1:5000", "'http://***@10.0.0.1:5000'")]
    [InlineData("AdvertisedUrls:0", "http://user:s3cr@3cret@10.0.0.1:5000", "'http://***@10.0.0.1:5000'")]
    [InlineData("AdvertisedUrls:0", "user:s3cret@10.0.0.1:5000", "'***@10.0.0.1:5000'")]
    [InlineData("AdvertisedUrls", "http://a:1,http://user:s3cret,3cret@10.0.0.1:5000", "'http://***@10.0.0.1:5000'")]
    [InlineData("Endpoints:Web:AdvertisedUrl", "https://s3cret@10.0.0.1", "'https://***@10.0.0.1'")]
    [InlineData("AdvertisedHost", "user:s3cret@10.0.0.1", "'***@10.0.0.1'")]
    public void A_password_in_an_address_is_not_repeated(string setting, string value, string shown)
    {
        var failure = Assert.Single(Failures([new("ServiceName", "greeter"), new(setting, value)]));

        Assert.Contains(shown, failure, StringComparison.Ordinal);
        Assert.DoesNotContain("3cret", failure, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("TimeToLive", "soon", "a time, e.g. 00:00:10")]
    [InlineData("Weight", "heavy", "a whole number, e.g. 10")]
    [InlineData("Enabled", "maybe", "true or false")]
    [InlineData("AllowLoopback", "maybe", "true or false")]
    [InlineData("FailFast", "maybe", "true or false")]
    public void A_value_that_cannot_be_read_is_named_too(string setting, string value, string valid)
    {
        var error = Assert.Throws<InvalidOperationException>(() => Failures([new("ServiceName", "greeter"), new(setting, value)]));

        Assert.Equal($"Etcd:Registration:{setting} is '{value}'; it must be {valid}.", error.Message);
    }

    [Fact]
    public void A_missing_service_name_is_asked_for()
        => Assert.Contains("Etcd:Registration:ServiceName is missing", Assert.Single(Failures([])), StringComparison.Ordinal);

    [Fact]
    public void A_service_of_several_needs_a_proper_name_too()
        => Assert.Contains("'a/b'", Assert.Single(Failures([new("Services:a/b:Weight", "5")])), StringComparison.Ordinal);

    [Fact]
    public void All_that_is_wrong_is_said_at_once()
        => Assert.Equal(3, Failures([new("Weight", "-1"), new("AdvertisedPort", "0")]).Count);

    [Fact]
    public void The_sum_of_the_stop_phases_stays_below_the_shutdown_timeout()
    {
        var failure = Assert.Single(Failures(
            [new("ServiceName", "greeter"), new("DrainDelay", "00:00:05"), new("LeaveDelay", "00:00:04"), new("StopTimeout", "00:00:03")],
            TimeSpan.FromSeconds(15)));
        foreach (var part in (string[])["00:00:15", "Etcd:Registration:DrainDelay '00:00:05'", "LeaveDelay '00:00:04'",
            "StopTimeout '00:00:03'", "HostOptions.ShutdownTimeout", "e.g. 00:00:25"])
        {
            Assert.Contains(part, failure, StringComparison.Ordinal);
        }

        Assert.Empty(Failures([new("ServiceName", "greeter"), new("StopTimeout", "00:00:06")], TimeSpan.FromSeconds(15)));
        Assert.Empty(Failures([new("ServiceName", "greeter"), new("StopTimeout", "00:20:00")], Timeout.InfiniteTimeSpan));
    }

    [Fact]
    public void Without_delays_the_exchanges_of_the_stop_stay_below_the_shutdown_timeout()
    {
        KeyValuePair<string, string?>[] settings = [new("ServiceName", "greeter"), new("GracefulStop", "false"), new("DrainDelay", "00:01:00"), new("StopTimeout", "00:00:06")];

        Assert.Contains(
            "Stopping may take 00:00:12 (twice Etcd:Registration:StopTimeout '00:00:06')", Assert.Single(Failures(settings, TimeSpan.FromSeconds(12))), StringComparison.Ordinal);
        Assert.Empty(Failures(settings, TimeSpan.FromSeconds(13)));
    }

    [Fact]
    public void Nothing_is_checked_when_registration_is_switched_off()
        => Assert.Empty(Failures([new("Enabled", "false"), new("Weight", "-1")]));

    [Fact]
    public void Lists_are_read_from_arrays_and_from_one_text_with_commas()
    {
        var options = Read(
        [
            new("ServiceName", "greeter"),
            new("AdvertisedUrls", "http://10.0.0.1:1, http://10.0.0.1:2"),
            new("Tags:0", "a"),
            new("Tags:1", "b"),
            new("Services:User:Endpoints", "Grpc,Web"),
            new("Services:User:Tags:0", "c"),
        ]);

        Assert.Equal(["http://10.0.0.1:1", "http://10.0.0.1:2"], options.AdvertisedUrls);
        Assert.Equal(["a", "b"], options.Tags);
        Assert.Equal(["Grpc", "Web"], options.Services["User"].Endpoints);
        Assert.Equal(["c"], options.Services["User"].Tags);
    }

    private static EtcdRegistrationOptions Read(KeyValuePair<string, string?>[] settings, TimeSpan? shutdownTimeout = null)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(s => new KeyValuePair<string, string?>("Etcd:Registration:" + s.Key, s.Value)))
            .Build());
        services.AddEtcdRegistration();
        services.Configure<HostOptions>(host => host.ShutdownTimeout = shutdownTimeout ?? host.ShutdownTimeout);
        using var provider = services.BuildServiceProvider();
        return provider.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value;
    }

    private static IReadOnlyList<string> Failures(KeyValuePair<string, string?>[] settings, TimeSpan? shutdownTimeout = null)
    {
        try
        {
            Read(settings, shutdownTimeout);
            return [];
        }
        catch (OptionsValidationException e)
        {
            return [.. e.Failures];
        }
    }
}
