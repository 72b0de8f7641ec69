namespace Discovery.Etcd.Configuration.Tests;

/// <summary>A directory that is gone after the test.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"etcd-configuration-{Guid.NewGuid():N}");

    /// <summary>The one file in it; another one may just be being written beside it.</summary>
    public string SingleFile => Assert.Single(Directory.GetFiles(Path, "*.json"));

    public void Dispose()
    {
        if (Directory.Exists(Path))
        {
            Directory.Delete(Path, recursive: true);
        }
    }
}
