using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// The records of a service as etcd last had them, on disk, for an application that starts while etcd is away. Changes come in bursts and
/// the file is written whole, so it is written some time after a change, on another thread: no event waits for the disk.
/// </summary>
internal sealed partial class SnapshotFile
{
    private static readonly TimeSpan Delay = TimeSpan.FromSeconds(1);

    private readonly string _path;
    private readonly string _prefix;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private Task _writing = Task.CompletedTask;
    private long? _requestedAt;
    private ServiceSnapshot? _saved;
    private bool _isFailing;

    public SnapshotFile(string directory, string serviceName, string prefix, TimeProvider time, ILogger logger)
    {
        // The name is for people, the hash tells services apart whose names differ in what file systems do not.
        var readable = string.Concat(serviceName.Select(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' ? c : '_'));
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(prefix)).AsSpan(0, 6));
        _path = Path.Combine(directory, $"{readable[..Math.Min(readable.Length, 80)]}-{hash}.json");
        _prefix = prefix;
        _time = time;
        _logger = logger;
    }

    /// <summary>How long until the file is to be written; null when it is up to date.</summary>
    public TimeSpan? DueIn => _requestedAt is { } since ? Delay - _time.GetElapsedTime(since) : null;

    /// <summary>Has a snapshot written some time later, unless it is the one that is in the file or was asked for last.</summary>
    public void Follow(ServiceSnapshot current)
    {
        if (!current.Held.IsEmpty)
        {
            // An empty or shrunken list would be the worst thing to start from, so while instances are held the file stays as it is.
            _requestedAt = null;
        }
        else if (current != _saved)
        {
            _saved = current;
            _requestedAt ??= _time.GetTimestamp();
        }
    }

    /// <summary>The snapshot is what was read from the file.</summary>
    public void WasRead(ServiceSnapshot? current) => _saved = current;

    /// <summary>The file as a message names it.</summary>
    /// <param name="writtenAt">When it was written, if it says so.</param>
    public string Describe(DateTimeOffset? writtenAt)
    {
        if (writtenAt is not { } at)
        {
            return "the snapshot on disk";
        }

        var age = _time.GetUtcNow() - at;
        var shown = age.TotalDays >= 2 ? $"{age.TotalDays:0} days" : age.TotalHours >= 2 ? $"{age.TotalHours:0} h" : $"{age.TotalMinutes:0} min";
        return $"the snapshot on disk, which is {shown} old";
    }

    /// <summary>Writes if it is due. While the last writing lasts, it is put off.</summary>
    public void SaveIfDue(Func<EtcdListing> getRecords)
    {
        if (DueIn > TimeSpan.Zero || _requestedAt is null)
        {
            return;
        }

        if (!_writing.IsCompleted)
        {
            _requestedAt = _time.GetTimestamp();
            return;
        }

        _requestedAt = null;
        var listing = getRecords();
        _writing = Task.Run(() => Write(listing));
    }

    /// <summary>Writes what is still to be written.</summary>
    public async ValueTask FlushAsync(Func<EtcdListing> getRecords)
    {
        await _writing.ConfigureAwait(false);
        if (_requestedAt is not null)
        {
            _requestedAt = null;
            Write(getRecords());
        }
    }

    /// <summary>Writes the file whole or not at all. A failure is logged: calls do not depend on it.</summary>
    public void Write(EtcdListing listing)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
            AtomicFile.Write(_path, stream => SnapshotFormat.Write(stream, _prefix, listing, _time.GetUtcNow()));
            _isFailing = false;
        }
        catch (Exception e)
        {
            // Also a path that the system does not accept: it must end neither the loop nor the application's stop.
            if (!_isFailing)
            {
                _isFailing = true;
                Log.NotWritten(_logger, _path, e.Message);
            }
        }
    }

    /// <summary>Reads the file. One that is absent, damaged or of another format reads as none.</summary>
    public bool TryRead([NotNullWhen(true)] out EtcdListing? listing) => TryRead(out listing, out _);

    /// <summary>Reads the file, and when it was written.</summary>
    public bool TryRead([NotNullWhen(true)] out EtcdListing? listing, out DateTimeOffset? writtenAt)
    {
        listing = null;
        writtenAt = null;
        try
        {
            if (!File.Exists(_path))
            {
                return false;
            }

            listing = SnapshotFormat.Read(File.ReadAllBytes(_path), _prefix, out writtenAt);
            if (listing is null)
            {
                Log.NotUsable(_logger, _path, null);
            }

            return listing is not null;
        }
        catch (Exception e)
        {
            Log.NotUsable(_logger, _path, e.Message);
            return false;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2121, LogLevel.Warning, "The snapshot {Path} could not be written; calls do not depend on it, and it is not said again until it was. {Reason}")]
        public static partial void NotWritten(ILogger logger, string path, string reason);

        [LoggerMessage(2122, LogLevel.Warning, "The snapshot {Path} is damaged or of another format and is not used. {Reason}")]
        public static partial void NotUsable(ILogger logger, string path, string? reason);
    }
}
