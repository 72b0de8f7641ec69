using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Registration;

public sealed class StopWithoutEtcdTests
{
    [Fact]
    public async Task An_application_that_was_never_registered_stops_at_once_and_without_a_warning_of_its_stop()
    {
        using var log = new LogRecorder();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(log);
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration["Etcd:Endpoints"] = "http://127.0.0.1:1";
        builder.Configuration["Etcd:Registration:ServiceName"] = "shop";
        builder.Configuration["Etcd:Registration:StopTimeout"] = "00:02:00";
        builder.Services.AddEtcdRegistration();
        builder.Services.Configure<HostOptions>(static h => h.ShutdownTimeout = TimeSpan.FromMinutes(10));
        await using var application = builder.Build();
        await application.StartAsync();
        var registration = application.Services.GetRequiredService<IServiceRegistration>();
        await Eventually.IsTrue(() => registration.Status is { State: ServiceRegistrationState.Registering, LastError: not null });

        await application.StopAsync().WaitAsync(TimeSpan.FromSeconds(60));

        Assert.Equal(ServiceRegistrationState.Stopped, registration.Status.State);
        Assert.False(log.Has(LogLevel.Warning, "could not be told"));
    }
}
