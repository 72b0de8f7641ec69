using Microsoft.Extensions.Configuration;

var builder = DistributedApplication.CreateBuilder(args);

// A container; or an etcd that runs already, where ConnectionStrings:etcd names it.
IResourceBuilder<IResourceWithConnectionString> etcd = builder.Configuration.GetConnectionString("etcd") is null
    ? builder.AddEtcd("etcd")
    : builder.AddConnectionString("etcd");

// Each replica registers its own port, which Aspire chooses.
builder.AddProject<Projects.Greeter>("greeter")
    .WithHttpEndpoint()
    .WithReplicas(3)
    .WithReference(etcd)
    .WaitFor(etcd);

// No reference to the greeter: the web API finds the three in etcd.
builder.AddProject<Projects.WebApi>("webapi")
    .WithHttpEndpoint()
    .WithExternalHttpEndpoints()
    .WithReference(etcd)
    .WaitFor(etcd);

builder.Build().Run();
