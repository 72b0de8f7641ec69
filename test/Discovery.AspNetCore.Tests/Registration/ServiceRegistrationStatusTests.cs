using System.Text.Json;
using System.Text.Json.Serialization;

namespace Discovery.AspNetCore.Tests.Registration;

public sealed partial class ServiceRegistrationStatusTests
{
    private static readonly ServiceRegistrationStatus Status = new()
    {
        State = ServiceRegistrationState.Registering,
        InstanceId = "shop-1",
        Keys = ["services/shop/10.0.0.1:5000", "services/shop/10.0.0.1:5001"],
        LeaseId = 26,
        LastError = "etcd did not answer.",
    };

    [Fact]
    public void It_can_be_serialised_and_read_again()
    {
        var json = JsonSerializer.Serialize(Status);

        Assert.Contains("\"Registering\"", json, StringComparison.Ordinal);
        Assert.Contains("etcd did not answer.", json, StringComparison.Ordinal);
        Assert.Equal(Status.ToString(), JsonSerializer.Deserialize<ServiceRegistrationStatus>(json)!.ToString());
    }

    [Fact]
    public void It_can_be_printed()
    {
        Assert.Equal(
            "Registering (shop-1, lease 1a), keys: services/shop/10.0.0.1:5000, services/shop/10.0.0.1:5001. etcd did not answer.",
            Status.ToString());
        Assert.Equal(
            "NoAddress (shop-1, no lease), keys: none.",
            (Status with { State = ServiceRegistrationState.NoAddress, Keys = [], LeaseId = 0, LastError = null }).ToString());
    }

    [Fact]
    public void Cluster_and_why_keys_cannot_be_read_are_shown()
    {
        var status = Status with { Cluster = "dc2", LastError = null, ReadError = "permission denied" };

        Assert.Equal(
            "Registering in dc2 (shop-1, lease 1a), keys: services/shop/10.0.0.1:5000, services/shop/10.0.0.1:5001. "
                + "The keys cannot be read: permission denied",
            status.ToString());
        var json = JsonSerializer.Serialize(status, GeneratedContext.Default.ServiceRegistrationStatus);
        Assert.Equal(status.ToString(), JsonSerializer.Deserialize(json, GeneratedContext.Default.ServiceRegistrationStatus)!.ToString());
    }

    [Fact]
    public void That_of_the_directory_is_serialised_and_printed_in_one_line()
    {
        var status = new ServiceStatus
        {
            ServiceName = "shop",
            Cluster = "dc2",
            Prefix = "services/shop/",
            IsReady = true,
            IsConnected = false,
            Revision = 7,
            Age = TimeSpan.FromSeconds(2),
            SkippedRecords = 1,
            LastError = Thrown(),
        };

        Assert.Equal("shop in dc2 (services/shop/): not watched now, revision 7, confirmed 2 s ago, 1 records skipped. etcd is away", status.ToString());
        var generated = JsonSerializer.Serialize(status, GeneratedContext.Default.ServiceStatus);
        Assert.Equal(JsonSerializer.Serialize(status), generated);
        Assert.Contains("\"LastErrorMessage\":\"etcd is away\"", generated, StringComparison.Ordinal);
        Assert.DoesNotContain("\"LastError\":", generated, StringComparison.Ordinal);
        Assert.Equal(status with { LastError = null }, JsonSerializer.Deserialize(generated, GeneratedContext.Default.ServiceStatus));
    }

    /// <summary>One that was thrown has a method and a stack trace, which cannot be serialised.</summary>
    private static InvalidOperationException Thrown()
    {
        try
        {
            throw new InvalidOperationException("etcd is away");
        }
        catch (InvalidOperationException e)
        {
            return e;
        }
    }

    [JsonSerializable(typeof(ServiceRegistrationStatus))]
    [JsonSerializable(typeof(ServiceStatus))]
    private sealed partial class GeneratedContext : JsonSerializerContext;
}
