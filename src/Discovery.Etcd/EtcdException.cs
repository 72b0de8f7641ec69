namespace Discovery.Etcd;

/// <summary>An etcd operation failed. The message names the operation, the endpoints tried, and the fix where one is known.</summary>
public sealed class EtcdException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">The whole message.</param>
    /// <param name="statusCode">etcd's code.</param>
    /// <param name="operation">The operation, e.g. <c>Range</c>.</param>
    /// <param name="endpoints">The endpoints that were tried, in order.</param>
    /// <param name="innerException">The cause, if it was an exception.</param>
    public EtcdException(
        string message, EtcdStatusCode statusCode, string operation, IReadOnlyList<string> endpoints, Exception? innerException = null)
        : base(message, innerException)
    {
        StatusCode = statusCode;
        Operation = operation;
        Endpoints = endpoints;
    }

    /// <summary>etcd's code.</summary>
    public EtcdStatusCode StatusCode { get; }

    /// <summary>The operation that failed, e.g. <c>Range</c>.</summary>
    public string Operation { get; }

    /// <summary>The endpoints that were tried, in order; without secrets.</summary>
    public IReadOnlyList<string> Endpoints { get; }
}
