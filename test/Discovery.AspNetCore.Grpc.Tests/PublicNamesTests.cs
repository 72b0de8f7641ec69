using Grpc.Net.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Grpc.Tests;

public sealed class PublicNamesTests
{
    [Fact]
    public void No_public_name_is_ambiguous_beside_Grpc_Net_Client()
    {
        Type[] ours = [.. typeof(InstanceState).Assembly.GetExportedTypes(), .. typeof(EtcdGrpcServiceCollectionExtensions).Assembly.GetExportedTypes()];
        Type[] theirs = [.. typeof(GrpcChannel).Assembly.GetExportedTypes(), .. typeof(global::Grpc.Net.ClientFactory.GrpcClientFactory).Assembly.GetExportedTypes()];

        Assert.Empty(ours.Select(t => t.Name).Intersect(theirs.Select(t => t.Name), StringComparer.Ordinal));
    }

    [Fact]
    public void Public_types_stand_at_the_root()
        => Assert.All(
            typeof(InstanceState).Assembly.GetExportedTypes(),
            static t => Assert.Contains(t.Namespace, new[] { "Discovery.AspNetCore", "Microsoft.AspNetCore.Builder", "Microsoft.Extensions.DependencyInjection" }));
}
