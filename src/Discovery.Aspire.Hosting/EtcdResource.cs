namespace Aspire.Hosting.ApplicationModel;

/// <summary>An etcd of one member, in a container.</summary>
/// <param name="name">The resource's name, and that of the connection string of resources that refer to it.</param>
public sealed class EtcdResource([ResourceName] string name) : ContainerResource(name), IResourceWithConnectionString
{
    /// <summary>The user that may do everything. etcd demands that there is one with authentication.</summary>
    internal const string RootUser = "root";

    internal const string PrimaryEndpointName = "http";

    private EndpointReference? _primaryEndpoint;

    /// <summary>Where etcd serves its clients, over gRPC and HTTP.</summary>
    public EndpointReference PrimaryEndpoint => _primaryEndpoint ??= new EndpointReference(this, PrimaryEndpointName);

    /// <summary>The user's name, where <see cref="EtcdResourceBuilderExtensions.WithAuth"/> was given one; otherwise it is <c>root</c>.</summary>
    public ParameterResource? UserNameParameter { get; internal set; }

    /// <summary>The user's password; null (the default) without authentication.</summary>
    public ParameterResource? PasswordParameter { get; internal set; }

    /// <summary>The client URL, e.g. <c>http://localhost:2379</c>.</summary>
    public ReferenceExpression UriExpression => ReferenceExpression.Create($"{PrimaryEndpoint.Property(EndpointProperty.Url)}");

    /// <summary>
    /// The client URL alone, or <c>Endpoints=http://localhost:2379;Username="root";Password="…"</c> with authentication. Discovery.AspNetCore
    /// reads both, of the connection string <c>etcd</c> for its default cluster and of another for the cluster of that name.
    /// </summary>
    public ReferenceExpression ConnectionStringExpression
        => PasswordParameter is null
            ? UriExpression
            : ReferenceExpression.Create($"Endpoints={UriExpression};Username=\"{UserNameExpression}\";Password=\"{PasswordParameter}\"");

    private ReferenceExpression UserNameExpression
        => UserNameParameter is null ? ReferenceExpression.Create($"{RootUser}") : ReferenceExpression.Create($"{UserNameParameter}");

    IEnumerable<KeyValuePair<string, ReferenceExpression>> IResourceWithConnectionString.GetConnectionProperties()
    {
        yield return new("Host", ReferenceExpression.Create($"{PrimaryEndpoint.Property(EndpointProperty.Host)}"));
        yield return new("Port", ReferenceExpression.Create($"{PrimaryEndpoint.Property(EndpointProperty.Port)}"));
        yield return new("Uri", UriExpression);
        if (PasswordParameter is not null)
        {
            yield return new("Username", UserNameExpression);
            yield return new("Password", ReferenceExpression.Create($"{PasswordParameter}"));
        }
    }
}
