using System.Text.Json;

namespace Discovery.AspNetCore.Tests.Registration;

public sealed class ServiceRegistrationStatusTests
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
}
