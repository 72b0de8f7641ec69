namespace Discovery.Etcd.Configuration.Documents;

/// <summary>A record cannot be used. The message completes "the value of this key cannot be used: …", and has no part of the value.</summary>
internal sealed class DocumentException(string message) : Exception(message);
