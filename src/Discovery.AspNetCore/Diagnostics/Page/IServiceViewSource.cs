namespace Discovery.AspNetCore.Diagnostics.Page;

/// <summary>Another balancer that calls services by the live state of their instances, for the page.</summary>
internal interface IServiceViewSource
{
    /// <summary>The services as this balancer calls them. Must begin nothing, and keep nothing.</summary>
    /// <param name="watched">The services that are watched.</param>
    IReadOnlyList<ServiceView> ViewsOf(IReadOnlyList<(ServiceStatus Status, ServiceSnapshot? Snapshot)> watched);
}
