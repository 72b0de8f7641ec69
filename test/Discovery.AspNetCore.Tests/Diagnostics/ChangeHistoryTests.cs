using Discovery.AspNetCore.Diagnostics.Page;
using Discovery.EmbeddedEtcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Diagnostics;

/// <summary>What the page's last changes say of the application's own registration.</summary>
public sealed class ChangeHistoryTests
{
    private const string Refused = "etcd is not available: LeaseGrant failed for 0.4 s at http://e:2379 (Connection refused).";

    private static readonly ServiceRegistrationStatus Registered = new()
    {
        State = ServiceRegistrationState.Registered,
        InstanceId = "a",
        LeaseId = 0xa1,
    };

    private readonly RegistrationHistory _history = new();

    [Fact]
    public void An_outage_is_one_line_however_its_figures_change()
    {
        Look(Registered);

        Assert.Equal([$"registration: Registered: {Refused}"], Look(Away(Registered)));
        Assert.Empty(Look(Away(Registered) with { LastError = "etcd is not available: LeaseGrant failed for 5 s at http://e:2379 (Connection refused; 14 attempts)." }));
        Assert.Empty(Look(Away(Registered)));
        Assert.Equal(["registration: Registered"], Look(Registered));
    }

    [Fact]
    public void An_outage_that_costs_the_lease_says_so_and_when_the_application_is_registered_again()
    {
        Look(Registered);
        Look(Away(Registered));
        var lost = Registered with { State = ServiceRegistrationState.Registering, LeaseId = 0, LeasesLost = 1 };

        Assert.Equal(["lease lost: a1, and the keys went with it"], Look(Away(lost)));
        Assert.Empty(Look(Away(lost) with { LastError = "etcd is not available for 5 s" }));
        Assert.Empty(Look(lost));
        Assert.Equal(["registered again: a2"], Look(Registered with { LeaseId = 0xa2, LeasesLost = 1 }));
        Assert.Empty(Look(Registered with { LeaseId = 0xa2, LeasesLost = 1 }));
    }

    [Fact]
    public void A_refusal_in_an_outage_is_a_line_of_its_own()
    {
        Look(Away(Registered));

        Assert.Equal(["registration: Registered: no space"], Look(Registered with { LastError = "no space" }));
    }

    [Fact]
    public void A_loss_before_the_first_look_is_no_change()
        => Assert.Equal(["registration: Registered"], Look(Registered with { LeasesLost = 1 }));

    [Fact]
    public async Task A_lease_that_somebody_revokes_is_told_with_the_return()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration["Etcd:Endpoints"] = etcd.Endpoint;
        builder.Configuration["Etcd:Registration:ServiceName"] = "shop";
        builder.Configuration["Etcd:Registration:GracefulStop"] = "false";
        builder.Services.AddEtcdRegistration();
        await using var application = builder.Build();
        application.MapEtcdDiscovery();
        await application.StartAsync();
        using var visitor = new HttpClient { BaseAddress = new Uri(application.Urls.First()) };
        var registration = application.Services.GetRequiredService<IServiceRegistration>();
        await Eventually.IsTrue(async () => (await PageAsync()).Contains("Registered", StringComparison.Ordinal));
        await Eventually.IsTrue(async () => (await PageAsync()).Contains(" registration ", StringComparison.Ordinal));
        var lease = registration.Status.LeaseId;

        etcd.ExpireLease(lease);

        await Eventually.IsTrue(async () => (await PageAsync()).Contains("registered again", StringComparison.Ordinal));
        Assert.Contains("lease lost", await PageAsync(), StringComparison.Ordinal);

        Task<string> PageAsync() => visitor.GetStringAsync("discovery?format=text");
    }

    private static ServiceRegistrationStatus Away(ServiceRegistrationStatus status) => status with { LastError = Refused, IsEtcdAway = true };

    private IEnumerable<string> Look(ServiceRegistrationStatus status) => _history.Look(status).Select(static c => $"{c.Kind}: {c.What}");
}
