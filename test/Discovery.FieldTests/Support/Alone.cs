namespace Discovery.FieldTests.Support;

/// <summary>For tests that measure shares: what other tests do beside them on a small machine is delay that looks like a slow server.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = nameof(Alone);
}
