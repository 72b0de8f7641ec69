namespace Discovery.Etcd.Tls;

/// <summary>The configured files hold no usable certificates.</summary>
internal sealed class TlsFilesException(string message, Exception innerException) : IOException(message, innerException);
