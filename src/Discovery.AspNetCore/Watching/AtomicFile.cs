namespace Discovery.AspNetCore.Watching;

/// <summary>Writes files that are there whole or not at all, for this user alone.</summary>
internal static class AtomicFile
{
    /// <summary>Writes a file, or replaces it. Its directory must exist.</summary>
    /// <param name="path">The file.</param>
    /// <param name="write">Writes the content.</param>
    /// <exception cref="Exception">It could not be written, or the content not be made. Nothing is left of it.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        // Containers that share a volume all have the process id 1.
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.None };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        try
        {
            using (var stream = new FileStream(temporary, options))
            {
                write(stream);

                // Renaming is atomic, but only what has reached the disk survives a power cut under the new name.
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            Delete(temporary);
            throw;
        }
    }

    private static void Delete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            // What could not be written can often not be deleted either, and why it could not be written is what matters.
        }
    }
}
