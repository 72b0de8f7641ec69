using Discovery.AspNetCore.Layouts;

namespace Discovery.AspNetCore.Watching;

/// <summary>What is read to list the services of a cluster.</summary>
/// <param name="Roots">Where their keys are.</param>
/// <param name="UnlistedLayouts">The layouts that say no root.</param>
/// <param name="Configured">The services whose instances stand in the settings.</param>
internal sealed record ListingPlan(
    IReadOnlyList<ServiceRoot> Roots, IReadOnlyList<string> UnlistedLayouts, IReadOnlyList<ListedService> Configured);

/// <summary>What the keys of all services in some layouts begin with.</summary>
/// <param name="Prefix">The prefix.</param>
/// <param name="Layouts">The layouts, those that say more of an instance first.</param>
/// <param name="InnerPrefixes">The roots of other layouts below this one; what is there is theirs.</param>
internal sealed record ServiceRoot(string Prefix, IReadOnlyList<IServiceLayout> Layouts, IReadOnlyList<string> InnerPrefixes);
