using System.Globalization;
using System.Text;
using Discovery.Etcd;

namespace Discovery.IntegrationTests;

/// <summary>
/// The processes that tests stop and kill: this assembly, run by itself. The test runner does not come through here.
/// </summary>
internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        switch (arguments)
        {
            case ["keep", var endpoint, var key, var seconds]:
                await KeepAsync(endpoint, key, seconds);
                return 0;
            case ["etcd"]:
                await OwnEtcdAsync();
                return 0;
            default:
                await Console.Error.WriteLineAsync(
                    """
                    keep <endpoint> <key> <seconds>   holds a key on a lease until the process ends
                    etcd                              owns an etcd, as a test does, and prints its process id
                    """);
                return 2;
        }
    }

    private static async Task KeepAsync(string endpoint, string key, string seconds)
    {
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [endpoint] });
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(int.Parse(seconds, CultureInfo.InvariantCulture)));
        keeper.StatusChanged += Console.WriteLine;
        keeper.Put(key, Encoding.UTF8.GetBytes($"{Environment.ProcessId}"));
        await Task.Delay(Timeout.Infinite);
    }

    private static async Task OwnEtcdAsync()
    {
        await using var etcd = await EtcdProcess.StartAsync();
        Console.WriteLine($"etcd {etcd.Member.ProcessId} {etcd.Member.Directory}");
        await Task.Delay(Timeout.Infinite);
    }
}
