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
        if (arguments is not ["keep", var endpoint, var key, var seconds])
        {
            await Console.Error.WriteLineAsync("keep <endpoint> <key> <seconds>: holds a key on a lease until the process ends");
            return 2;
        }

        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [endpoint] });
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(int.Parse(seconds, CultureInfo.InvariantCulture)));
        keeper.StatusChanged += Console.WriteLine;
        keeper.Put(key, Encoding.UTF8.GetBytes($"{Environment.ProcessId}"));
        await Task.Delay(Timeout.Infinite);
        return 0;
    }
}
