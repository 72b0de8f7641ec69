using System.Security.Cryptography.X509Certificates;
using Authpb;
using Etcdserverpb;
using Google.Protobuf;
using dotnet_etcd.interfaces;

namespace Discovery.Etcd.DotnetEtcd.Tests.Support;

/// <summary>A real etcd with TLS and authentication; the user may read and write under <c>app/</c>.</summary>
public sealed class SecureBackend : Backend
{
    private const string RootPassword = "root-password";

    private readonly TestCertificates _certificates = new("authority");
    private X509Certificate2? _certificate;
    private EtcdProcess? _etcd;

    public override string Endpoint => _etcd!.Endpoint;

    protected internal override X509Certificate2? Certificate => _certificate;

    internal override Backend Other() => new SecureBackend();

    internal override IEtcdClient ConnectAlone(string endpoint)
    {
        var client = ConnectAnonymously(endpoint);
        client.SetCredentials(User, Password);
        return client;
    }

    internal static dotnet_etcd.EtcdClient ConnectAnonymously(string endpoint) =>
        new(endpoint, configureSslOptions: static ssl => ssl.RemoteCertificateValidationCallback = (_, _, _, _) => true);

    /// <summary>A new password, even the same one, makes the tokens of the user invalid.</summary>
    internal Task InvalidateTokensAsync() => Direct.UserChangePasswordAsync(new AuthUserChangePasswordRequest { Name = User, Password = Password });

    /// <summary>Takes the user's permission away, or gives it back.</summary>
    internal async Task PermitAsync(bool isAllowed)
    {
        var (key, end) = (ByteString.CopyFromUtf8("app/"), ByteString.CopyFromUtf8("app0"));
        if (isAllowed)
        {
            await Direct.RoleGrantPermissionAsync(new AuthRoleGrantPermissionRequest
            {
                Name = "app",
                Perm = new Permission { PermType = Permission.Types.Type.Readwrite, Key = key, RangeEnd = end },
            });
        }
        else
        {
            await Direct.RoleRevokePermissionAsync(new AuthRoleRevokePermissionRequest { Role = "app", Key = key, RangeEnd = end });
        }
    }

    protected internal override void Configure(EtcdClientOptions options, bool isRoot)
    {
        (options.Username, options.Password) = isRoot ? ("root", RootPassword) : (User, Password);

        // Several clusters, each with an authority of its own, may stand behind one relay.
        options.Tls.CaFile = _certificates.CaFile;
    }

    protected override async Task StartAsync()
    {
        _certificate = X509CertificateLoader.LoadPkcs12(_certificates.Issue("etcd.test").Export(X509ContentType.Pkcs12), password: null);
        var (certificate, key) = _certificates.IssuePem("etcd.test", "server");
        _etcd = await EtcdProcess.StartAsync(new EtcdProcessOptions
        {
            ClientScheme = "https",
            FastElections = true,
            ExtraArguments = ["--cert-file", certificate, "--key-file", key, "--bcrypt-cost", "4"],
        });
        foreach (var command in (string[])[
            $"user add root:{RootPassword}", "user grant-role root root", "role add app", "role grant-permission app readwrite --prefix=true app/",
            $"user add {User}:{Password}", "user grant-role app app", "auth enable"])
        {
            await Etcdctl.RunAsync(Endpoint, ["--cacert", _certificates.CaFile, .. command.Split(' ')]);
        }
    }

    protected override async Task StopAsync()
    {
        await _etcd!.DisposeAsync();
        _certificate!.Dispose();
        _certificates.Dispose();
    }
}
