using System.Text;
using Discovery.Etcd;
using Microsoft.AspNetCore.Http;

namespace Discovery.IntegrationTests.Discovery;

/// <summary>Instances of a service with a name of its own, whose records the test writes itself.</summary>
internal sealed class Fleet(EtcdClient etcd) : IAsyncDisposable
{
    private readonly List<BackendServer> _servers = [];

    public string Service { get; } = $"s{Guid.NewGuid():N}";

    public string Prefix => $"services/{Service}/";

    public async Task<BackendServer> AddAsync(RequestDelegate? answer = null)
    {
        var server = await StartAsync(answer);
        await RegisterAsync(server.Address);
        return server;
    }

    /// <summary>Starts an instance that is in no directory yet.</summary>
    public async Task<BackendServer> StartAsync(RequestDelegate? answer = null)
    {
        var server = await BackendServer.StartAsync(answer);
        _servers.Add(server);
        return server;
    }

    public Task RegisterAsync(string address) => etcd.PutAsync(Prefix + address, Record(address));

    public Task DeregisterAsync(string address) => etcd.DeleteAsync(Prefix + address);

    /// <summary>Deletes all keys at once, as a mistaken <c>del --prefix</c> does.</summary>
    public async Task DeleteAllAsync()
    {
        var listing = await etcd.ListAsync(Prefix);
        await etcd.ExecuteAsync(new EtcdTransaction { Then = [.. listing.Items.Select(static i => EtcdOperation.Delete(i.Key))] });
    }

    public static byte[] Record(string address) => Encoding.UTF8.GetBytes($$"""{"Op":0,"Addr":"{{address}}"}""");

    public async ValueTask DisposeAsync()
    {
        foreach (var server in _servers)
        {
            await server.DisposeAsync();
        }
    }
}
