using Discovery.EmbeddedEtcd.Tests.Support;
using Google.Protobuf;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Tests.Differential;

/// <summary>A real and an embedded etcd that are asked the same.</summary>
internal sealed class Twin(string real, string embedded) : IDisposable
{
    public RawClient Real { get; } = new(real);

    public RawClient Embedded { get; } = new(embedded);

    /// <summary>Makes the call at both; their outcomes have to be the same.</summary>
    /// <returns>The real one's answer, or <see langword="null"/> where it was an error.</returns>
    public async Task<TResponse?> CallAsync<TRequest, TResponse>(
        Func<RawClient, TRequest, AsyncUnaryCall<TResponse>> call, TRequest request, Action<TResponse>? normalize = null)
        where TRequest : IMessage
        where TResponse : class, IMessage
    {
        TResponse? answer = null;
        var outcome = await Outcome.OfAsync(AskAsync(Real));
        Same(outcome, await Outcome.OfAsync(AskAsync(Embedded)), $"{typeof(TRequest).Name} {request}");
        return answer;

        async Task<TResponse> AskAsync(RawClient client)
        {
            var response = await RawClient.AnswerAsync(call(client, request));
            normalize?.Invoke(response);
            answer = response;
            return response;
        }
    }

    public static void Same(string real, string embedded, string what)
    {
        if (!string.Equals(real, embedded, StringComparison.Ordinal))
        {
            var difference = real.AsSpan().CommonPrefixLength(embedded);
            Assert.Fail($"{what}\n  etcd:     {Around(real, difference)}\n  embedded: {Around(embedded, difference)}");
        }
    }

    public void Dispose()
    {
        Real.Dispose();
        Embedded.Dispose();
    }

    // Transcripts are long; what differs is what counts.
    private static string Around(string text, int position)
    {
        const int Context = 400;
        var start = Math.Max(0, position - Context);
        return $"{(start > 0 ? "..." : "")}{text.AsSpan(start, Math.Min(text.Length - start, 2 * Context))}";
    }
}
