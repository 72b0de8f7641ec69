namespace Discovery.IntegrationTests.Neighbours;

/// <summary>The ways of projects in Go to register, as the neighbours and as our settings name them.</summary>
public static class Ways
{
    public static readonly IReadOnlyDictionary<string, string> Layouts = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["openim"] = "OpenIm",
        ["naming"] = "EtcdNaming",
        ["gozero"] = "GoZero",
        ["kratos"] = "Kratos",
        ["kitex"] = "Kitex",
    };

    public static TheoryData<string> All => [.. Layouts.Keys];
}
