using System.Collections.Concurrent;
using Grpc.Core;
using Grpc.Net.Client.Calls;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Grpc.Net.Client;

/// <summary>Makes calls to one address; thread-safe and meant to live long.</summary>
public sealed class GrpcChannel : ChannelBase, IDisposable
{
    private readonly ConcurrentDictionary<GrpcCall, byte> _activeCalls = new();
    private readonly ConcurrentDictionary<string, Uri> _uris = new(StringComparer.Ordinal);
    private readonly Uri _address;
    private readonly bool _disposeInvoker;
    private volatile bool _disposed;

    private GrpcChannel(Uri address, GrpcChannelOptions options)
        : base(address.Authority)
    {
        if (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps)
        {
            throw new InvalidOperationException($"No address resolver configured for the scheme '{address.Scheme}'.");
        }

        _address = address;
        _disposeInvoker = options.DisposeHttpClient || (options.HttpClient is null && options.HttpHandler is null);
        var handler = options.HttpHandler ?? DefaultHandler.Create();
        Invoker = options.HttpClient ?? new HttpMessageInvoker(handler, disposeHandler: true);
        ConnectsItself = options.HttpClient is null && DefaultHandler.Connects(handler);
        MaxSendMessageSize = options.MaxSendMessageSize;
        MaxReceiveMessageSize = options.MaxReceiveMessageSize;
        ThrowOperationCanceled = options.ThrowOperationCanceledOnCancellation;
        var loggers = options.LoggerFactory ?? options.ServiceProvider?.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance;
        Logger = loggers.CreateLogger("Grpc.Net.Client.Internal.GrpcCall");
    }

    internal HttpMessageInvoker Invoker { get; }

    /// <summary>Whether connections are made by a plain handler, and so in the official packages by the channel itself.</summary>
    internal bool ConnectsItself { get; }

    internal int? MaxSendMessageSize { get; }

    internal int? MaxReceiveMessageSize { get; }

    internal bool ThrowOperationCanceled { get; }

    internal ILogger Logger { get; }

    /// <summary>Creates a channel for an address such as <c>https://greeter:5001</c>.</summary>
    public static GrpcChannel ForAddress(string address) => ForAddress(new Uri(address));

    /// <summary>Creates a channel for an address such as <c>https://greeter:5001</c>.</summary>
    public static GrpcChannel ForAddress(string address, GrpcChannelOptions channelOptions) => ForAddress(new Uri(address), channelOptions);

    /// <summary>Creates a channel for an address such as <c>https://greeter:5001</c>.</summary>
    public static GrpcChannel ForAddress(Uri address) => ForAddress(address, new GrpcChannelOptions());

    /// <summary>Creates a channel for an address such as <c>https://greeter:5001</c>; only scheme, host and port of it are used.</summary>
    /// <exception cref="ArgumentException">Both a client and a handler are set.</exception>
    /// <exception cref="InvalidOperationException">The scheme is neither http nor https.</exception>
    public static GrpcChannel ForAddress(Uri address, GrpcChannelOptions channelOptions)
    {
        ArgumentNullException.ThrowIfNull(address);
        ArgumentNullException.ThrowIfNull(channelOptions);
        return channelOptions is { HttpClient: not null, HttpHandler: not null }
            ? throw new ArgumentException("HttpClient and HttpHandler have been configured. Only one HTTP caller can be specified.")
            : new GrpcChannel(address, channelOptions);
    }

    /// <inheritdoc/>
    public override CallInvoker CreateCallInvoker()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new HttpClientCallInvoker(this);
    }

    /// <summary>Cancels the calls in flight and closes the connections that the channel owns.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        foreach (var call in _activeCalls.Keys)
        {
            call.Dispose();
        }

        if (_disposeInvoker)
        {
            Invoker.Dispose();
        }
    }

    internal Uri UriOf(IMethod method)
        => _uris.GetOrAdd(method.FullName, static (path, address) => new UriBuilder(address) { Path = path }.Uri, _address);

    internal void Add(GrpcCall call)
    {
        _activeCalls.TryAdd(call, 0);
        if (_disposed)
        {
            // Disposed meanwhile: the loop in Dispose may have missed this call, which has not started.
            Remove(call);
            ObjectDisposedException.ThrowIf(_disposed, this);
        }
    }

    internal void Remove(GrpcCall call) => _activeCalls.TryRemove(call, out _);
}
