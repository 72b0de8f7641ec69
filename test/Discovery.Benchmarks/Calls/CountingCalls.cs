using System.Net;
using System.Runtime.CompilerServices;
using Discovery.AspNetCore.Calls;

namespace Discovery.Benchmarks.Calls;

/// <summary>
/// The least that a handler costs which knows how many calls are under way: two atomic operations, and, as a call is under way until its body has
/// ended, a content and a stream in the place of those of the answer. It chooses nothing, has no clock, and looks at no outcome.
/// </summary>
internal sealed class CountingCalls(HttpMessageInvoker inner) : HttpMessageHandler
{
    private int _underWay;

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _underWay);
        var response = await inner.SendAsync(request, cancellationToken).ConfigureAwait(false);
        if (BodyHeaders.Of(response.Content) is (false, "0"))
        {
            Interlocked.Decrement(ref _underWay);
        }
        else
        {
            response.Content = new Body(response.Content, this);
        }

        return response;
    }

    private sealed class Body : HttpContent
    {
        private readonly HttpContent _inner;
        private CountingCalls? _handler;

        public Body(HttpContent inner, CountingCalls handler)
        {
            _inner = inner;
            _handler = handler;
            MessageParts.SetHeaders(this, inner, mayShare: true);
        }

        public void OnEnded()
        {
            if (_handler is not null && Interlocked.Exchange(ref _handler, null) is { } handler)
            {
                Interlocked.Decrement(ref handler._underWay);
            }
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => throw new NotSupportedException();

        protected override Task<Stream> CreateContentReadStreamAsync()
            => Task.FromResult<Stream>(new BodyStream(this, _inner.ReadAsStream(CancellationToken.None)));

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }

        protected override void Dispose(bool disposing)
        {
            OnEnded();
            _inner.Dispose();
            base.Dispose(disposing);
        }
    }

    private sealed class BodyStream(Body body, Stream inner) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = inner.ReadAsync(buffer, cancellationToken);
            return read.IsCompletedSuccessfully ? new ValueTask<int>(Ended(read.Result)) : AwaitAsync(read);
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush() => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        private async ValueTask<int> AwaitAsync(ValueTask<int> read) => Ended(await read.ConfigureAwait(false));

        private int Ended(int read)
        {
            if (read == 0)
            {
                body.OnEnded();
            }

            return read;
        }
    }
}
