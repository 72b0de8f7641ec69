namespace Discovery.AspNetCore.Instances;

/// <summary>Something about an instance has changed.</summary>
/// <param name="Instance">The instance.</param>
/// <param name="RecordBefore">Its record before, which may be the one that it has.</param>
internal readonly record struct InstanceChange(InstanceState Instance, ServiceInstance RecordBefore);
