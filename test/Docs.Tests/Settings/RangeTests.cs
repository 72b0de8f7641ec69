using System.Globalization;
using System.Text.Json.Nodes;
using Discovery.AspNetCore;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Docs.Tests.Settings;

/// <summary>The schema allows the numbers that the application accepts.</summary>
public sealed class RangeTests
{
    public static TheoryData<string, double, double?> Ranges
    {
        get
        {
            var data = new TheoryData<string, double, double?>();
            foreach (var (path, number) in Numbers().Where(static n => n.Number["minimum"] is not null))
            {
                data.Add(path, number["minimum"]!.GetValue<double>(), number["maximum"]?.GetValue<double>());
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Ranges))]
    public void The_schema_and_the_application_agree(string path, double least, double? most)
    {
        Assert.True(IsAccepted(path, least));
        Assert.False(IsAccepted(path, least - 1));
        if (most is { } limit)
        {
            Assert.True(IsAccepted(path, limit));
            Assert.False(IsAccepted(path, limit + 1));
        }
    }

    [Fact]
    public void Every_number_has_a_range() => Assert.Equal([], Numbers().Where(static n => n.Number["minimum"] is null).Select(static n => n.Path));

    private static IEnumerable<(string Path, JsonObject Number)> Numbers()
    {
        var definitions = SettingsSchema.Build()["definitions"]!;
        return Find("Etcd:Registration", definitions["etcdRegistration"]!.AsObject())
            .Concat(Find("Etcd:Discovery", definitions["etcdDiscoveredService"]!.AsObject()));
    }

    private static bool IsAccepted(string path, double value)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Configuration["Etcd:Endpoints"] = "http://127.0.0.1:2379";
        builder.Configuration["Etcd:Registration:ServiceName"] = "greeter";
        builder.Configuration[path] = value.ToString(CultureInfo.InvariantCulture);
        builder.Services.AddEtcdRegistration();
        builder.Services.AddEtcdDiscovery();
        using var services = builder.Services.BuildServiceProvider();
        try
        {
            _ = services.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value;
            _ = services.GetRequiredService<IOptions<EtcdDiscoveryOptions>>().Value;
            return true;
        }
        catch (OptionsValidationException)
        {
            return false;
        }
    }

    private static IEnumerable<(string Path, JsonObject Number)> Find(string path, JsonObject setting)
    {
        if (setting["type"] is JsonValue type && type.GetValue<string>() is "integer" or "number")
        {
            return [(path, setting)];
        }

        return setting["properties"] is JsonObject properties
            ? properties.SelectMany(p => Find($"{path}:{p.Key}", p.Value!.AsObject()))
            : setting["additionalProperties"] is JsonObject each && each["properties"] is not null ? Find($"{path}:orders", each) : [];
    }
}
