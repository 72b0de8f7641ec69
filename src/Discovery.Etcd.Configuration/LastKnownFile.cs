using System.Security.Cryptography;
using System.Text;
using Discovery.AspNetCore.Watching;

namespace Discovery.Etcd.Configuration;

/// <summary>The records of a prefix as they were last usable, on disk, for an application that starts while etcd is away.</summary>
internal sealed class LastKnownFile
{
    private readonly string _prefix;
    private readonly ProblemReporter _problems;

    public LastKnownFile(string directory, string section, string prefix, ProblemReporter problems)
    {
        // The name is for people; the hash tells prefixes apart that differ in what file systems do not, and clusters.
        var readable = string.Concat(prefix.Trim('/').Select(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' ? c : '_'));
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{section}\n{prefix}")).AsSpan(0, 6));
        Path = System.IO.Path.Combine(directory, $"{readable[..Math.Min(readable.Length, 80)]}-{hash}.json");
        _prefix = prefix;
        _problems = problems;
    }

    public string Path { get; }

    /// <summary>Writes the file whole or not at all. A failure is reported; the configuration does not depend on it.</summary>
    public void Write(EtcdListing listing)
    {
        try
        {
            CreateDirectory(System.IO.Path.GetDirectoryName(Path)!);
            AtomicFile.Write(Path, stream => SnapshotFormat.Write(stream, _prefix, listing, TimeProvider.System.GetUtcNow()));
        }
        catch (Exception e)
        {
            _problems.FileNotWritten(Path, e);
        }
    }

    /// <summary>Reads the file. One that is absent, damaged or of another format reads as none.</summary>
    public EtcdListing? Read(out DateTimeOffset? writtenAt)
    {
        writtenAt = null;
        try
        {
            if (!File.Exists(Path))
            {
                return null;
            }

            var listing = SnapshotFormat.Read(File.ReadAllBytes(Path), _prefix, out writtenAt);
            if (listing is null)
            {
                _problems.FileNotUsable(Path, null);
            }

            return listing;
        }
        catch (Exception e)
        {
            _problems.FileNotUsable(Path, e);
            return null;
        }
    }

    private static void CreateDirectory(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }
}
