using System.Net;
using Discovery.AspNetCore;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Discovery.Fuzz;

/// <summary>What reads bytes that others wrote. An exception is a fault that was found.</summary>
internal static class Targets
{
    private static readonly Dictionary<string, Action<byte[]>> All = new(StringComparer.Ordinal)
    {
        ["layouts"] = ReadRecord,
        ["snapshot"] = ReadSnapshot,
        ["settings"] = ReadSettings,
    };

    // Not made before the first input: what is instrumented counts into memory that is not there yet.
    private static readonly Lazy<IReadOnlyList<IServiceLayout>> Layouts = new(static () => new LayoutCatalog([]).Parse("EtcdNaming, OpenIm, GoZero, Kratos, Kitex"));
    private static readonly Lazy<AddressFilter> Filter = new(static () => new AddressFilter(new EtcdDiscoveryOptions()));
    private static readonly DirectoryInfo Directory = System.IO.Directory.CreateTempSubdirectory("fuzz-");

    public static IEnumerable<string> Names => All.Keys;

    public static Action<byte[]>? Find(string name) => All.GetValueOrDefault(name);

    private static void ReadRecord(byte[] value)
    {
        var record = new EtcdKeyValue { KeyBytes = "services/svc/k"u8.ToArray(), Value = value, CreateRevision = 1, ModRevision = 7, Version = 1 };
        foreach (var layout in Layouts.Value)
        {
            if (!layout.TryReadAll("svc", record, out var instances, out var problem))
            {
                Check(!string.IsNullOrEmpty(problem), "Nothing was read, for no reason.");
                continue;
            }

            foreach (var instance in instances)
            {
                Check(instance.Port is > 0 and < 65536 && instance.Weight is >= 0 and <= 1_000_000, $"{instance} has an impossible port or weight.");
                Check(!Filter.Value.Allows(instance) || !IPAddress.TryParse(instance.Host, out var address) || IsPublic(address), $"{instance} may be dialled.");
                _ = layout.Write(instance);
            }
        }
    }

    private static bool IsPublic(IPAddress address)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return !IPAddress.IsLoopback(plain) && !plain.IsIPv6LinkLocal && !plain.IsIPv6Multicast && !plain.ToString().StartsWith("169.254.", StringComparison.Ordinal);
    }

    private static void ReadSnapshot(byte[] content)
    {
        var file = new SnapshotFile(Directory.FullName, "svc", "services/svc/", TimeProvider.System, NullLogger.Instance);
        if (System.IO.Directory.GetFiles(Directory.FullName) is not [var path])
        {
            file.Write(new EtcdListing { Items = [], Revision = 7, ClusterId = 1 });
            path = System.IO.Directory.GetFiles(Directory.FullName).Single();
        }

        File.WriteAllBytes(path, content);
        _ = file.TryRead(out _);
    }

    private static void ReadSettings(byte[] json)
    {
        IConfiguration configuration;
        try
        {
            using var file = new MemoryStream(json);
            configuration = new ConfigurationBuilder().AddJsonStream(file).Build();
        }
        catch (Exception e) when (e is FormatException or InvalidDataException or System.Text.Json.JsonException)
        {
            // No file of settings, which the host says by itself.
            return;
        }

        var services = new ServiceCollection();
        services.AddSingleton(configuration);
        services.AddEtcdRegistration().AddEtcdDiscovery();
        using var provider = services.BuildServiceProvider();
        Read(() => provider.GetRequiredService<IOptions<EtcdClientOptions>>().Value);
        Read(() => provider.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value);
        Read(() => provider.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>().Get("svc"));
    }

    private static void Read(Func<object> options)
    {
        try
        {
            _ = options();
        }
        catch (OptionsValidationException e)
        {
            Check(e.Failures.All(static f => f.Contains("Etcd", StringComparison.OrdinalIgnoreCase)), e.Message);
        }
        catch (InvalidOperationException e) when (e.Message.Contains("it must be ", StringComparison.Ordinal))
        {
            Check(e.Message.Contains("Etcd", StringComparison.OrdinalIgnoreCase), e.Message);
        }
    }

    private static void Check(bool isRight, string what)
    {
        if (!isRight)
        {
            throw new InvalidDataException(what);
        }
    }
}
