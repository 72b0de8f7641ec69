using System.Collections.Concurrent;
using System.Net.Http.Headers;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Grpc.Net.ClientFactory;

/// <summary>Creates one channel for each registered client, which lives as long as the application.</summary>
internal sealed class ChannelFactory(
    IServiceScopeFactory scopes,
    ILoggerFactory loggers,
    IOptionsMonitor<GrpcClientFactoryOptions> clientOptions,
    IOptionsMonitor<HttpClientFactoryOptions> httpOptions,
    IHttpMessageHandlerFactory handlers)
{
    private readonly ConcurrentDictionary<(string Name, Type Type), CallInvoker> _invokers = new();

    public CallInvoker GetInvoker(string name, Type type) => _invokers.GetOrAdd((name, type), static (key, self) => self.Create(key.Name, key.Type), this);

    private CallInvoker Create(string name, Type type)
    {
        var scope = scopes.CreateScope();
        try
        {
            var options = clientOptions.Get(name);
            ApplyHttpClientActions(name, options);
            var channelOptions = new GrpcChannelOptions
            {
                HttpHandler = handlers.CreateHandler(name),
                LoggerFactory = loggers,
                ServiceProvider = scope.ServiceProvider,
            };
            foreach (var apply in options.ChannelOptionsActions)
            {
                apply(channelOptions);
            }

            var address = options.Address ?? throw new InvalidOperationException(
                $"Could not resolve the address for gRPC client '{name}'. Set an address when registering the client: "
                + $"services.AddGrpcClient<{type.Name}>(o => o.Address = new Uri(\"https://localhost:5001\"))");
            return GrpcChannel.ForAddress(address, channelOptions).CreateCallInvoker();
        }
        catch
        {
            scope.Dispose();
            throw;
        }
    }

    // A channel takes a handler, not a client: what ConfigureHttpClient sets is applied to a stand-in and read from there.
    private void ApplyHttpClientActions(string name, GrpcClientFactoryOptions options)
    {
        var actions = httpOptions.Get(name).HttpClientActions;
        if (actions.Count == 0)
        {
            return;
        }

        using var client = new HttpClient();
        foreach (var apply in actions)
        {
            apply(client);
        }

        options.Address ??= client.BaseAddress;
        if (client.DefaultRequestHeaders.NonValidated.Count > 0)
        {
            options.CallOptionsActions.Add(context => AddDefaults(context, client.DefaultRequestHeaders));
        }
    }

    // Like HttpClient itself: a default header is sent where the call does not set one of that name.
    private static void AddDefaults(CallOptionsContext context, HttpRequestHeaders defaults)
    {
        var headers = context.CallOptions.Headers ?? [];
        foreach (var (name, values) in defaults)
        {
            if (headers.Get(name) is null)
            {
                foreach (var value in values)
                {
                    headers.Add(name, value);
                }
            }
        }

        context.CallOptions = context.CallOptions.WithHeaders(headers);
    }
}
