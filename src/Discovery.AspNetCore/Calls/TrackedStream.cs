using System.Runtime.CompilerServices;

namespace Discovery.AspNetCore.Calls;

/// <summary>A body's stream that reports its end to its content.</summary>
internal sealed class TrackedStream(TrackedContent content, Stream inner) : Stream
{
    private Stream Inner => content.IsDisposed ? throw new ObjectDisposedException(nameof(HttpContent)) : inner;

    public override bool CanRead => !content.IsDisposed && inner.CanRead;

    public override bool CanSeek => false;

    public override bool CanWrite => !content.IsDisposed && inner.CanWrite;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        try
        {
            return Ended(Inner.Read(buffer), buffer.Length);
        }
        catch (Exception e)
        {
            content.OnFailed(e, CancellationToken.None);
            throw;
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
        => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = Inner.ReadAsync(buffer, cancellationToken);
        return read.IsCompletedSuccessfully
            ? new ValueTask<int>(Ended(read.Result, buffer.Length))
            : AwaitAsync(read, buffer.Length, cancellationToken);
    }

    public override void CopyTo(Stream destination, int bufferSize)
    {
        OnCopied(destination);
        base.CopyTo(destination, bufferSize);
    }

    public override Task CopyToAsync(Stream destination, int bufferSize, CancellationToken cancellationToken)
    {
        OnCopied(destination);
        return base.CopyToAsync(destination, bufferSize, cancellationToken);
    }

    public override void Write(byte[] buffer, int offset, int count) => Inner.Write(buffer, offset, count);

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
        => Inner.WriteAsync(buffer, offset, count, cancellationToken);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        => Inner.WriteAsync(buffer, cancellationToken);

    public override void Flush() => Inner.Flush();

    public override Task FlushAsync(CancellationToken cancellationToken) => Inner.FlushAsync(cancellationToken);

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            content.OnGivenUp();
            if (!content.IsDisposed)
            {
                inner.Dispose();
            }
        }

        base.Dispose(disposing);
    }

    /// <summary>
    /// What <see cref="HttpClient"/> copies to a buffer of its own is to be there within its time. What a caller copies elsewhere may take as long as
    /// he likes.
    /// </summary>
    private void OnCopied(Stream destination)
    {
        if (destination.GetType().DeclaringType == typeof(HttpContent))
        {
            content.OnBuffered();
        }
    }

    // Over a network nearly every call has a read that waits, so what that keeps is used again.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> AwaitAsync(ValueTask<int> read, int wanted, CancellationToken cancellationToken)
    {
        try
        {
            return Ended(await read.ConfigureAwait(false), wanted);
        }
        catch (Exception e)
        {
            content.OnFailed(e, cancellationToken);
            throw;
        }
    }

    /// <summary>Nothing read although something was wanted means the end; a read of nothing only waits for data.</summary>
    private int Ended(int read, int wanted)
    {
        if (read > 0)
        {
            content.OnData();
        }
        else if (wanted > 0)
        {
            content.OnCompleted();
        }

        return read;
    }
}
