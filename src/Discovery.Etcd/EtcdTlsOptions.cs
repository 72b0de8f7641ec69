namespace Discovery.Etcd;

/// <summary>TLS towards etcd. Files are read again when they change; new connections use what they then hold.</summary>
public sealed class EtcdTlsOptions
{
    /// <summary>
    /// A PEM file with the certificate authorities that etcd's certificate must chain to, roots or intermediate ones: a chain ends at any of them, as
    /// etcdctl has it. Default: the system's.
    /// </summary>
    public string? CaFile { get; set; }

    /// <summary>The client certificate: PEM (with <see cref="KeyFile"/>) or PFX.</summary>
    public string? CertificateFile { get; set; }

    /// <summary>The PEM private key of <see cref="CertificateFile"/>; not used with PFX.</summary>
    public string? KeyFile { get; set; }

    /// <summary>The password of the PFX file or of the encrypted PEM key. Never logged.</summary>
    public string? KeyPassword { get; set; }

    /// <summary>The name that etcd's certificate must bear, where it is not the endpoint's host.</summary>
    public string? ServerName { get; set; }

    internal bool IsSetUp => !(string.IsNullOrEmpty(CaFile) && string.IsNullOrEmpty(CertificateFile) && string.IsNullOrEmpty(ServerName));
}
