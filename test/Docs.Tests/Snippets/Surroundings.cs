namespace Docs.Tests.Snippets;

/// <summary>What stands around a snippet: the variables of an application's program, and its types in <see cref="Application"/>.</summary>
internal static class Surroundings
{
    private static readonly Dictionary<string, string> Variables = new(StringComparer.Ordinal)
    {
        ["builder"] = "var builder = WebApplication.CreateBuilder(args);",
        ["services"] = "IServiceCollection services = new ServiceCollection();",
        ["app"] = "var app = WebApplication.CreateBuilder(args).Build();",
        ["client"] = "var client = new HttpClient();",
        ["greeter"] = "Greeter.GreeterClient greeter = null!;",
        ["request"] = "var request = new HttpRequestMessage(HttpMethod.Get, \"/orders/1\");",
        ["user"] = "var user = new User(\"1\");",
        ["directory"] = "IServiceDirectory directory = null!;",
        ["registration"] = "IServiceRegistration registration = null!;",
        ["channels"] = "IEtcdGrpcChannels channels = null!;",
        ["etcd"] = "EtcdClient etcd = null!;",
        ["locks"] = "dotnet_etcd.interfaces.IEtcdClient locks = null!;",
        ["lost"] = "var lost = new CancellationTokenSource();",
        ["lease"] = "long lease = 0;",
        ["name"] = "var name = \"\";",
        ["TimeToLive"] = "var TimeToLive = TimeSpan.FromSeconds(10);",
        ["stoppingToken"] = "var stoppingToken = CancellationToken.None;",
        ["cancellationToken"] = "var cancellationToken = CancellationToken.None;",
        ["handlers"] = "IHttpMessageHandlerFactory handlers = null!;",
        ["socket"] = "var socket = new System.Net.WebSockets.ClientWebSocket();",
        ["clock"] = "var clock = TimeProvider.System;",
        ["record"] = "var record = new ServiceInstance { Key = \"1\", ServiceName = \"greeter\", Host = \"127.0.0.1\", Port = 5000 };",
    };

    /// <summary>The implicit usings of a web application, and where its own types stand.</summary>
    public static IReadOnlyList<string> Usings { get; } =
    [
        "System", "System.Collections.Generic", "System.IO", "System.Linq", "System.Net.Http", "System.Net.Http.Json", "System.Threading",
        "System.Threading.Tasks", "Microsoft.AspNetCore.Builder", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Http",
        "Microsoft.AspNetCore.Routing", "Microsoft.Extensions.Configuration", "Microsoft.Extensions.DependencyInjection",
        "Microsoft.Extensions.Hosting", "Microsoft.Extensions.Logging", "Docs.Tests.Snippets", "Helloworld",
    ];

    /// <summary>What a part of a program may leave out; a whole one is to compile as it stands.</summary>
    public static IReadOnlyList<string> UsingsOfParts { get; } =
    [
        "Discovery.AspNetCore", "Discovery.EmbeddedEtcd", "Discovery.Etcd", "Grpc.Core", "Microsoft.AspNetCore.Mvc",
        "Microsoft.Extensions.Diagnostics.HealthChecks",
    ];

    /// <summary>The implicit usings of an Aspire AppHost, beside those of any application.</summary>
    public static IReadOnlyList<string> UsingsOfAppHosts { get; } = ["Aspire.Hosting", "Aspire.Hosting.ApplicationModel"];

    public static bool Has(string name) => Variables.ContainsKey(name);

    public static string Declare(string name) => Variables[name];
}
