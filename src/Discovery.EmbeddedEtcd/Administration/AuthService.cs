using Discovery.EmbeddedEtcd.Contract;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Administration;

/// <summary>etcdserverpb.Auth, as far as an etcd without users has it.</summary>
internal sealed class AuthService(EtcdEngine engine) : Auth.AuthBase
{
    public override Task<AuthenticateResponse> Authenticate(AuthenticateRequest request, ServerCallContext context)
        => throw ServerErrors.AuthNotEnabled();

    public override Task<AuthStatusResponse> AuthStatus(AuthStatusRequest request, ServerCallContext context)
    {
        lock (engine.Gate)
        {
            return Task.FromResult(new AuthStatusResponse { Header = engine.Header(), Enabled = false, AuthRevision = 1 });
        }
    }
}
