using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.AspNetCore.Server.Binding;

/// <summary>Gets the instance that serves a call: a registered one, or a new one that ends with the call.</summary>
internal sealed class ServiceActivator<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TService>
    where TService : class
{
    private readonly Lazy<ObjectFactory<TService>> _create = new(static () => ActivatorUtilities.CreateFactory<TService>([]));

    public ServiceLease<TService> Get(IServiceProvider services)
        => services.GetService<TService>() is { } registered
            ? new(registered, IsOwned: false)
            : new(_create.Value(services, []), IsOwned: true);
}

internal readonly record struct ServiceLease<TService>(TService Instance, bool IsOwned) : IAsyncDisposable
    where TService : class
{
    public ValueTask DisposeAsync()
    {
        switch (IsOwned ? Instance : null)
        {
            case IAsyncDisposable asynchronous:
                return asynchronous.DisposeAsync();
            case IDisposable synchronous:
                synchronous.Dispose();
                break;
        }

        return ValueTask.CompletedTask;
    }
}
