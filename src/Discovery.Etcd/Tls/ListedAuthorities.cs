using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Discovery.Etcd.Tls;

/// <summary>
/// The authorities that a server's certificate must chain to. .NET ends chains at certificates that signed themselves only; etcdctl, as all that
/// is written in Go, ends them at any certificate of the file, such as the intermediate authority that issued etcd's.
/// </summary>
internal sealed class ListedAuthorities(X509Certificate2Collection certificates)
{
    // What a chain has that goes to a certificate of ours and on from there, or nowhere, but to no root of ours.
    private const X509ChainStatusFlags EndsElsewhere = X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.UntrustedRoot;

    private readonly bool _areAllRoots = certificates.All(static c => c.SubjectName.RawData.AsSpan().SequenceEqual(c.IssuerName.RawData));

    /// <summary>What a handshake goes by.</summary>
    public X509ChainPolicy CreatePolicy()
    {
        // Private authorities rarely publish revocation lists.
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.AddRange(certificates);
        if (!_areAllRoots)
        {
            policy.ExtraStore.AddRange(certificates);
        }

        return policy;
    }

    /// <summary>Decides in the framework's place, where it cannot; <see langword="null"/> where all are roots.</summary>
    public RemoteCertificateValidationCallback? Validation => _areAllRoots ? null : Validate;

    private bool Validate(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        var found = X509ChainStatusFlags.NoError;
        if (chain is not null && errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
        {
            found = chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, static (all, status) => all | status.Status);
            if (EndsAtOneOfOurs(chain, found))
            {
                errors &= ~SslPolicyErrors.RemoteCertificateChainErrors;
            }
        }

        return errors switch
        {
            SslPolicyErrors.None => true,

            // A plain refusal would hide what is wrong; these are the framework's words where nobody else decides.
            SslPolicyErrors.RemoteCertificateChainErrors =>
                throw new AuthenticationException($"The remote certificate is invalid because of errors in the certificate chain: {found}"),
            _ => throw new AuthenticationException($"The remote certificate is invalid according to the validation procedure: {errors}"),
        };
    }

    // Times, usages and signatures are as the framework judged them. It reports a signature that does not fit, or leaves out of the chain who
    // should have made it, so what only bears the name of an authority of ours is refused.
    private bool EndsAtOneOfOurs(X509Chain chain, X509ChainStatusFlags found)
        => found != X509ChainStatusFlags.NoError && (found & ~EndsElsewhere) == X509ChainStatusFlags.NoError
            && chain.ChainElements.Any(e => certificates.Any(c => c.RawDataMemory.Span.SequenceEqual(e.Certificate.RawDataMemory.Span)));
}
