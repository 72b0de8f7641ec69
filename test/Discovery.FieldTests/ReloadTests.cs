using Discovery.FieldTests.Support;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Configuration;
using Helloworld;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.FieldTests;

/// <summary>Settings that change while nothing changes in etcd, for those who are handed the instances and balance them by themselves.</summary>
public sealed class ReloadTests
{
    private const string Select = "Etcd:Discovery:Services:svc:Select:Version";

    [Fact]
    public async Task A_channel_of_grpc_follows_the_version_that_is_selected()
    {
        await using var field = await Field.StartAsync();
        foreach (var version in new[] { "v1", "v2" })
        {
            await field.StartServerAsync(c => GrpcAnswer.SendAsync(c, version), HttpProtocols.Http2, metadata: $"\"version\":\"{version}\"");
        }

        var configuration = new ConfigurationManager();
        var services = field.Application(s => s.AddSingleton<IConfiguration>(configuration).AddEtcdGrpcResolver());
        using var channel = GrpcChannel.ForAddress("etcd:///svc", new GrpcChannelOptions
        {
            ServiceProvider = services,
            Credentials = ChannelCredentials.Insecure,
            ServiceConfig = new ServiceConfig { LoadBalancingConfigs = { new RoundRobinConfig() } },
        });
        var client = new Greeter.GreeterClient(channel);
        await AnswersAsync("v1", "v2");

        Change(configuration, Select, "v2");
        await AnswersAsync("v2");
        Change(configuration, "Etcd:Discovery:Services:svc:AllowedNetworks", "nonsense");
        await Eventually.IsTrue(() => field.Log.Lines.Any(static l => l.Contains("'svc' are not used", StringComparison.Ordinal)));
        await AnswersAsync("v2");

        Task AnswersAsync(params string[] expected) => Eventually.IsTrue(async () =>
        {
            var answers = new HashSet<string>(StringComparer.Ordinal);
            for (var i = 0; i < 10; i++)
            {
                answers.Add((await client.SayHelloAsync(new HelloRequest())).Message);
            }

            return answers.SetEquals(expected);
        });
    }

    [Fact]
    public async Task A_proxy_follows_the_version_that_is_selected()
    {
        await using var field = await Field.StartAsync();
        foreach (var version in new[] { "v1", "v2" })
        {
            await field.StartServerAsync(c => c.Response.WriteAsync(version), metadata: $"\"version\":\"{version}\"");
        }

        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration["Etcd:Endpoints"] = field.Etcd;
        builder.Services.AddReverseProxy()
            .LoadFromMemory(
                [new RouteConfig { RouteId = "all", ClusterId = "svc", Match = new RouteMatch { Path = "{**rest}" } }],
                [
                    new ClusterConfig
                    {
                        ClusterId = "svc",
                        LoadBalancingPolicy = "RoundRobin",
                        Destinations = new Dictionary<string, DestinationConfig>(StringComparer.Ordinal) { ["svc"] = new DestinationConfig { Address = "etcd://svc" } },
                    },
                ])
            .AddEtcdDestinationResolver();
        await using var proxy = builder.Build();
        proxy.MapReverseProxy();
        await proxy.StartAsync();
        using var client = new HttpClient { BaseAddress = new Uri(proxy.Urls.First()) };
        await AnswersAsync("v1", "v2");

        Change(builder.Configuration, Select, "v2");

        await AnswersAsync("v2");

        Task AnswersAsync(params string[] expected) => Eventually.IsTrue(async () =>
        {
            var answers = new HashSet<string>(StringComparer.Ordinal);
            for (var i = 0; i < 10; i++)
            {
                answers.Add(await client.GetStringAsync("x"));
            }

            return answers.SetEquals(expected);
        });
    }

    private static void Change(ConfigurationManager configuration, string setting, string value)
    {
        configuration[setting] = value;
        ((IConfigurationRoot)configuration).Reload();
    }
}
