using Aspire.Hosting;

namespace Projects;

// What the SDK of Aspire makes of an AppHost's project references.
#pragma warning disable CA1724 // The names are those of the projects.
public sealed class Greeter : IProjectMetadata
{
    public string ProjectPath => "Greeter.csproj";
}

public sealed class WebApi : IProjectMetadata
{
    public string ProjectPath => "WebApi.csproj";
}
