using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;

var builder = DistributedApplication.CreateBuilder(new DistributedApplicationOptions { Args = args, DisableDashboard = true });
var etcd = builder.AddEtcd("etcd", 2379).WithDataVolume();
Console.WriteLine($"Hello Aspire: {etcd.Resource.Name} at {((IResourceWithConnectionString)etcd.Resource).ConnectionStringExpression.ValueExpression}");
