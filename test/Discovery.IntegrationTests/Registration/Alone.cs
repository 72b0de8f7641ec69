namespace Discovery.IntegrationTests.Registration;

/// <summary>Tests that load or measure the machine: they run when all others are done.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "Alone on the machine";
}
