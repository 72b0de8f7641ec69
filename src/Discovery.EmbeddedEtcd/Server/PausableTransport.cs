using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>
/// The transport of a connection behind a gate: while that is closed nothing is read and nothing is sent, so that even the pings of
/// HTTP/2 stay unanswered, as with a stopped process or a network that swallows packets.
/// </summary>
internal sealed class PausableTransport(ConnectionContext connection, PauseGate gate) : IDuplexPipe
{
    public PipeReader Input { get; } = new Reader(connection.Transport.Input, gate, connection.ConnectionClosed);

    public PipeWriter Output { get; } = new Writer(connection.Transport.Output, gate, connection.ConnectionClosed);

    private sealed class Reader(PipeReader inner, PauseGate gate, CancellationToken closed) : PipeReader
    {
        // What arrives while the gate closes waits as well.
        public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
        {
            var result = await inner.ReadAsync(cancellationToken).ConfigureAwait(false);
            await gate.WaitAsync(closed).ConfigureAwait(false);
            return result;
        }

        public override bool TryRead(out ReadResult result)
        {
            result = default;
            return !gate.IsClosed && inner.TryRead(out result);
        }

        public override void AdvanceTo(SequencePosition consumed) => inner.AdvanceTo(consumed);

        public override void AdvanceTo(SequencePosition consumed, SequencePosition examined) => inner.AdvanceTo(consumed, examined);

        public override void CancelPendingRead() => inner.CancelPendingRead();

        public override void Complete(Exception? exception = null) => inner.Complete(exception);
    }

    private sealed class Writer(PipeWriter inner, PauseGate gate, CancellationToken closed) : PipeWriter
    {
        public override bool CanGetUnflushedBytes => inner.CanGetUnflushedBytes;

        public override long UnflushedBytes => inner.UnflushedBytes;

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
            => gate.IsClosed ? FlushLaterAsync(cancellationToken) : inner.FlushAsync(cancellationToken);

        public override Memory<byte> GetMemory(int sizeHint = 0) => inner.GetMemory(sizeHint);

        public override Span<byte> GetSpan(int sizeHint = 0) => inner.GetSpan(sizeHint);

        public override void Advance(int bytes) => inner.Advance(bytes);

        public override void CancelPendingFlush() => inner.CancelPendingFlush();

        public override void Complete(Exception? exception = null) => inner.Complete(exception);

        private async ValueTask<FlushResult> FlushLaterAsync(CancellationToken cancellationToken)
        {
            await gate.WaitAsync(closed).ConfigureAwait(false);
            return await inner.FlushAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
