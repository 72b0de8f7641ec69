using Discovery.AspNetCore.Clusters;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// Makes the options of a registration. One in a named cluster begins with all that is set for the default one: the configuration comes first,
/// then what code sets for all, then what code sets for the cluster.
/// </summary>
internal sealed class RegistrationOptionsFactory(
    IEnumerable<IConfigureOptions<EtcdRegistrationOptions>> setups,
    IEnumerable<IPostConfigureOptions<EtcdRegistrationOptions>> last,
    IEnumerable<IValidateOptions<EtcdRegistrationOptions>> validations,
    ClusterCatalog clusters) : IOptionsFactory<EtcdRegistrationOptions>
{
    public EtcdRegistrationOptions Create(string name)
    {
        var options = new EtcdRegistrationOptions();
        var inherits = name.Length > 0 && clusters.Find(name) is not null;
        foreach (var setup in setups.OrderBy(s => LayerOf(s, name)))
        {
            Apply(setup, name, inherits, options);
        }

        foreach (var setup in last)
        {
            if (inherits && setup is PostConfigureOptions<EtcdRegistrationOptions> { Name: "" })
            {
                setup.PostConfigure("", options);
            }
            else
            {
                setup.PostConfigure(name, options);
            }
        }

        var failures = validations.Select(v => v.Validate(name, options)).Where(static r => r.Failed).SelectMany(static r => r.Failures!).ToList();
        return failures.Count == 0 ? options : throw new OptionsValidationException(name, typeof(EtcdRegistrationOptions), failures);
    }

    private static int LayerOf(IConfigureOptions<EtcdRegistrationOptions> setup, string name) => setup switch
    {
        ConfigureRegistration => 0,
        ConfigureNamedOptions<EtcdRegistrationOptions> { Name: { Length: > 0 } own } when own == name => 2,
        _ => 1,
    };

    private static void Apply(IConfigureOptions<EtcdRegistrationOptions> setup, string name, bool inherits, EtcdRegistrationOptions options)
    {
        switch (setup)
        {
            case ConfigureNamedOptions<EtcdRegistrationOptions> { Name: "" } general when inherits:
                general.Configure("", options);
                break;
            case IConfigureNamedOptions<EtcdRegistrationOptions> named:
                named.Configure(name, options);
                break;
            default:
                if (name.Length == 0 || inherits)
                {
                    setup.Configure(options);
                }

                break;
        }
    }
}
