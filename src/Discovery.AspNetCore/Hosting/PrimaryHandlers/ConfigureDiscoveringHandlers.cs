using System.Diagnostics.CodeAnalysis;
using Discovery.AspNetCore.Calls;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting.PrimaryHandlers;

/// <summary>
/// Gives each discovering client its primary handler. Whatever the application does to the primary handler of that client, before
/// <c>AddEtcdDiscovery</c> or after it, would have no effect, and is an error; what it does to those of all clients may be meant for others, and is a
/// warning where certificates or the like are lost.
/// </summary>
internal sealed partial class ConfigureDiscoveringHandlers(
    ClientCatalog clients, IEnumerable<IConfigureOptions<HttpClientFactoryOptions>> setups, IServiceProvider services)
    : IPostConfigureOptions<HttpClientFactoryOptions>
{
    /// <summary>A name that no client has: its options have what is set for all.</summary>
    private const string NoClient = "\0";

    private int _warned;

    public void PostConfigure(string? name, HttpClientFactoryOptions options)
    {
        if (name is null || clients.Find(name) is not { } client)
        {
            return;
        }

        // An action cannot be told what it may change, so the actions run one by one, those of the defaults on a handler of their own.
        var actions = options.HttpMessageHandlerBuilderActions.ToList();
        var areDefaults = FindDefaults(name);
        options.HttpMessageHandlerBuilderActions.Clear();
        options.HttpMessageHandlerBuilderActions.Add(builder =>
        {
            var own = new TrialBuilder(builder);
            var ofDefaults = new TrialBuilder(builder);
            for (var i = 0; i < actions.Count; i++)
            {
                actions[i](i < areDefaults.Count && areDefaults[i] ? ofDefaults : own);
            }

            builder.PrimaryHandler = Replace(client, own);
            Warn(client, ofDefaults.PrimaryHandler);
        });
    }

    /// <summary>Puts discovery in place of the handler in which nothing is set, inside of handlers that were put around it.</summary>
    private HttpMessageHandler Replace(RegisteredClient client, TrialBuilder own)
    {
        DelegatingHandler? around = null;
        var innermost = own.PrimaryHandler;
        while (innermost is DelegatingHandler { InnerHandler: { } inner } delegating)
        {
            (around, innermost) = (delegating, inner);
        }

        // Another one of .NET's in which nothing is set loses nothing, and gRPC's client factory brings one.
        if (innermost is not SocketsHttpHandler sockets)
        {
            throw PrimaryHandlerError.Replaced(client, innermost);
        }

        if (HandlerSettings.FindAll(sockets) is { Count: > 0 } changed)
        {
            throw PrimaryHandlerError.Changed(client, changed);
        }

        sockets.Dispose();
        var pools = services.GetRequiredService<PoolCache>();
        var discovery = new DiscoveryHandler(() => pools.OfClient(client.Name), client);
        if (around is null)
        {
            return discovery;
        }

        around.InnerHandler = discovery;
        return own.PrimaryHandler;
    }

    private void Warn(RegisteredClient client, HttpMessageHandler ofDefaults)
    {
        if (HandlerSettings.FindEssential(ofDefaults) is { Count: > 0 } lost && Interlocked.Exchange(ref _warned, 1) == 0)
        {
            // Not before: a logger provider may itself send by a client, whose options are made here.
            Log.DefaultsDoNotHold(services.GetRequiredService<ILogger<EtcdDiscoveryOptions>>(), string.Join(", ", lost), client.Name);
        }
    }

    /// <summary>For each of the actions that the setups add for a client, in their order, whether it is added for all clients.</summary>
    private List<bool> FindDefaults(string name)
    {
        var ofClient = new HttpClientFactoryOptions();
        var ofAll = new HttpClientFactoryOptions();
        List<bool> areDefaults = [];
        foreach (var setup in setups)
        {
            var before = ofAll.HttpMessageHandlerBuilderActions.Count;
            Configure(setup, NoClient, ofAll);
            Configure(setup, name, ofClient);
            var isDefault = ofAll.HttpMessageHandlerBuilderActions.Count > before;
            while (areDefaults.Count < ofClient.HttpMessageHandlerBuilderActions.Count)
            {
                areDefaults.Add(isDefault);
            }
        }

        return areDefaults;
    }

    private static void Configure(IConfigureOptions<HttpClientFactoryOptions> setup, string name, HttpClientFactoryOptions options)
    {
        if (setup is IConfigureNamedOptions<HttpClientFactoryOptions> named)
        {
            named.Configure(name, options);
        }
        else if (name == Options.DefaultName)
        {
            setup.Configure(options);
        }
    }

    /// <summary>A builder with a primary handler of its own, so that those of the defaults and those of the client are told apart.</summary>
    private sealed class TrialBuilder(HttpMessageHandlerBuilder builder) : HttpMessageHandlerBuilder
    {
        private HttpMessageHandler? _handler;

        [DisallowNull]
        public override string? Name
        {
            get => builder.Name;
            set => builder.Name = value;
        }

        public override HttpMessageHandler PrimaryHandler
        {
            get => _handler ??= HandlerSettings.CreateDefault();
            set => _handler = value;
        }

        public override IList<DelegatingHandler> AdditionalHandlers => builder.AdditionalHandlers;

        public override IServiceProvider Services => builder.Services;

        public override HttpMessageHandler Build() => builder.Build();
    }

    private static partial class Log
    {
        [LoggerMessage(2011, LogLevel.Warning, "What is set for the primary handlers of all clients ({Lost}) does not hold for the client '{Client}', nor for others "
            + "that discover a service. Where it is meant for them, set it by ConfigureEtcdTransport, or by AddHttpMessageHandler.")]
        public static partial void DefaultsDoNotHold(ILogger logger, string lost, string client);
    }
}
