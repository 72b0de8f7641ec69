namespace Discovery.Etcd.Configuration.Tests;

/// <summary>Tests of what is the process's: they run when all others are done.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "Alone in the process";
}
