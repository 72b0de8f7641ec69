using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// Makes options in layers, whatever the order in which the application added what sets them: first the most general name, last the options' own.
/// Each layer has what was set for its name, by whatever method of the framework. The application's own types of setups decide themselves what a
/// name means; they run once, with the options' own name, in the first layer, as does what was set for all names.
/// </summary>
internal static class OptionsLayers
{
    /// <summary>Makes the options and validates them.</summary>
    /// <param name="names">The name of each layer, the options' own last. No name, "", stands for what code sets without one.</param>
    /// <param name="setups">What sets the options.</param>
    /// <param name="last">What sets them after that, in layers again.</param>
    /// <param name="validations">What says whether they are valid.</param>
    /// <exception cref="OptionsValidationException">They are not.</exception>
    public static T Create<T>(
        IReadOnlyList<string> names,
        IEnumerable<IConfigureOptions<T>> setups,
        IEnumerable<IPostConfigureOptions<T>> last,
        IEnumerable<IValidateOptions<T>> validations)
        where T : class, new()
    {
        var options = new T();
        foreach (var layer in names)
        {
            foreach (var setup in setups)
            {
                Configure(setup, layer, names, options);
            }
        }

        foreach (var layer in names)
        {
            foreach (var setup in last)
            {
                PostConfigure(setup, layer, names, options);
            }
        }

        var failures = validations.Select(v => v.Validate(names[^1], options)).Where(static r => r.Failed).SelectMany(static r => r.Failures!).ToList();
        return failures.Count == 0 ? options : throw new OptionsValidationException(names[^1], typeof(T), failures);
    }

    private static void Configure<T>(IConfigureOptions<T> setup, string layer, IReadOnlyList<string> names, T options)
        where T : class
    {
        if (setup is not IConfigureNamedOptions<T> named)
        {
            if (layer.Length == 0)
            {
                setup.Configure(options);
            }
        }
        else if (setup is ConfigureNamedOptions<T> known ? known.Name is not null : IsFrameworks(setup))
        {
            named.Configure(layer, options);
        }
        else if (layer == names[0])
        {
            named.Configure(names[^1], options);
        }
    }

    private static void PostConfigure<T>(IPostConfigureOptions<T> setup, string layer, IReadOnlyList<string> names, T options)
        where T : class
    {
        if (setup is PostConfigureOptions<T> known ? known.Name is not null : IsFrameworks(setup))
        {
            setup.PostConfigure(layer, options);
        }
        else if (layer == names[0])
        {
            setup.PostConfigure(names[^1], options);
        }
    }

    /// <summary>
    /// Whether it is one of the framework's setups that depend on services, as of <c>AddOptions("x").Configure&lt;TService&gt;(…)</c>. They have no
    /// type in common that tells their name, but do nothing for another one; none of the framework's methods makes one for all names.
    /// </summary>
    private static bool IsFrameworks(object setup) => setup.GetType().Assembly == typeof(ConfigureNamedOptions<>).Assembly;
}
