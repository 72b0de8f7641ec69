using System.Diagnostics;

namespace Discovery.IntegrationTests.Registration;

/// <summary>A machine of its own, as far as its network goes: a namespace with loopback and one link to this machine.</summary>
internal sealed class NetworkNamespace : IAsyncDisposable
{
    private static int _count;

    private readonly string _network;
    private readonly string _second;

    private NetworkNamespace(string name, string network, string second) => (Name, _network, _second) = (name, network, second);

    public string Name { get; }

    /// <summary>This machine's end of the link.</summary>
    public string Gateway => $"{_network}.1";

    /// <summary>The machine's first address.</summary>
    public string Address => $"{_network}.2";

    /// <summary>Another one, which it does not have yet.</summary>
    public string OtherAddress => $"{_network}.3";

    /// <summary>This machine's end of the second network, after <see cref="AddSecondNetwork"/>.</summary>
    public string SecondGateway => $"{_second}.1";

    /// <summary>The machine's address in the second network.</summary>
    public string SecondAddress => $"{_second}.2";

    /// <summary>Why there can be none here, or <see langword="null"/>.</summary>
    public static string? GetProblem()
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess)
        {
            return "Network namespaces need Linux and root.";
        }

        var name = $"probe{Environment.ProcessId}";
        if (Run($"link add {name} type veth peer name {name}p") is { } problem)
        {
            return $"Network namespaces cannot be had here: {problem}";
        }

        Run($"link del {name}");
        return Run($"netns add {name}") ?? Run($"netns del {name}");
    }

    public static NetworkNamespace Create()
    {
        var number = Interlocked.Increment(ref _count);
        var name = $"d{Environment.ProcessId % 100_000}x{number}";
        var created = new NetworkNamespace(
            name, $"10.{200 + number}.{Environment.ProcessId % 256}", $"10.{150 + number}.{Environment.ProcessId % 256}");
        created.Do($"netns add {name}");
        created.Do($"link add {name}h type veth peer name {name}n netns {name}");
        created.Do($"addr add {created.Gateway}/24 dev {name}h");
        created.Do($"link set {name}h up");
        created.Do($"-n {name} link set lo up");
        created.AddAddress(created.Address, 24);
        created.Do($"-n {name} link set {name}n up");
        return created;
    }

    /// <summary>Adds a network that can be taken away while the first one works on.</summary>
    public void AddSecondNetwork()
    {
        Do($"addr add {SecondGateway}/24 dev {Name}h");
        AddAddress(SecondAddress, 24);
    }

    /// <summary>Leaves the machine IPv6 alone.</summary>
    /// <returns>This machine's end of the link, and the machine's address.</returns>
    public (string Gateway, string Address) UseIpv6Alone()
    {
        var network = $"fd{Environment.ProcessId % 256:x2}:{Random.Shared.Next(1, 0xffff):x}::";
        RemoveAddress(Address, 24);
        Do($"addr del {Gateway}/24 dev {Name}h");
        Do($"addr add {network}1/64 dev {Name}h nodad");
        Do($"-n {Name} addr add {network}2/64 dev {Name}n nodad");
        return ($"[{network}1]", $"[{network}2]");
    }

    public void AddAddress(string address, int prefix) => Do($"-n {Name} addr add {address}/{prefix} dev {Name}n");

    public void RemoveAddress(string address, int prefix) => Do($"-n {Name} addr del {address}/{prefix} dev {Name}n");

    public ValueTask DisposeAsync()
    {
        Run($"link del {Name}h");
        Run($"netns del {Name}");
        return default;
    }

    private static string? Run(string arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo("ip", arguments) { RedirectStandardError = true, UseShellExecute = false })!;
            var error = process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0 ? null : $"ip {arguments}: {error}";
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return e.Message;
        }
    }

    private void Do(string arguments)
    {
        if (Run(arguments) is { } problem)
        {
            throw new InvalidOperationException(problem);
        }
    }
}

/// <summary>A test that needs network namespaces; skipped, with the reason, where there are none.</summary>
internal sealed class NetworkNamespaceFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> Problem = new(NetworkNamespace.GetProblem);

    public NetworkNamespaceFactAttribute() => Skip = Problem.Value;
}
