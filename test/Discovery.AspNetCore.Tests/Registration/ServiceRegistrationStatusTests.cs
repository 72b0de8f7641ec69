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

    [Theory]
    [InlineData("services/shop/10.0.0.1:5000", null, true)]
    [InlineData("openim:///shop/10.0.0.1:5000", "shop-1", true)]
    [InlineData("services/shop/10.0.0.2:5000", "shop-2", false)]
    [InlineData("services/shop/10.0.0.2:5000", null, false)]
    public void An_instance_is_this_process_by_its_key_or_its_id(string key, string? id, bool isSelf)
    {
        IServiceRegistration registration = new FixedRegistration(Status);

        Assert.Equal(isSelf, registration.IsSelf(new ServiceInstance { Key = key, ServiceName = "shop", Host = "h", Port = 1, InstanceId = id }));
    }

    [Fact]
    public void Before_it_is_registered_no_instance_is_this_process()
    {
        IServiceRegistration registration = new FixedRegistration(Status with { InstanceId = "", Keys = [] });

        Assert.False(registration.IsSelf(new ServiceInstance { Key = "k", ServiceName = "shop", Host = "h", Port = 1, InstanceId = "" }));
    }

    private sealed class FixedRegistration(ServiceRegistrationStatus status) : IServiceRegistration
    {
        public ServiceRegistrationStatus Status => status;

        public Task SetWeightAsync(int weight, CancellationToken cancellationToken = default) => Task.CompletedTask;

        public Task ResetWeightAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

        public Task WithdrawAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

        public Task RestoreAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;
    }
}
