using Grpc.Core;

namespace Discovery.IntegrationTests.Interop;

/// <summary>Waits for a call to fail, with a limit: a call that never ends must fail its test, not hang it.</summary>
public static class Failure
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    public static Task<RpcException> OfAsync(Func<Task> call) => Assert.ThrowsAsync<RpcException>(() => call().WaitAsync(Limit));
}
