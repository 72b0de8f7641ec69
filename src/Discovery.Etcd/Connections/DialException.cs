namespace Discovery.Etcd.Connections;

/// <summary>No connection could be made: whatever waited for it was not sent.</summary>
internal sealed class DialException(string message, Exception innerException) : IOException(message, innerException);
