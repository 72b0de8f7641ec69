using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Docs.Tests.Settings;

/// <summary>The summaries of public members, as plain text.</summary>
internal static partial class XmlDocs
{
    private static readonly Dictionary<Assembly, Dictionary<string, XElement>> Files = [];

    /// <summary>The summary of an options type.</summary>
    public static string Of(Type type) => Find(type.Assembly, $"T:{type.FullName}");

    /// <summary>The summary of a setting.</summary>
    public static string Of(PropertyInfo property) => Find(property.DeclaringType!.Assembly, $"P:{property.DeclaringType.FullName}.{property.Name}");

    private static string Find(Assembly assembly, string member)
    {
        if (!Files.TryGetValue(assembly, out var members))
        {
            members = XDocument.Load(Path.ChangeExtension(assembly.Location, ".xml")).Descendants("member")
                .ToDictionary(static m => m.Attribute("name")!.Value, static m => m.Element("summary")!, StringComparer.Ordinal);
            Files[assembly] = members;
        }

        return WhiteSpace().Replace(string.Concat(members[member].Nodes().Select(Text)), " ").Trim();
    }

    private static string Text(XNode node) => node switch
    {
        XText text => text.Value,
        XElement { Name.LocalName: "see" } see => see.Attribute("langword")?.Value ?? see.Attribute("cref")!.Value.Split('(')[0].Split('.')[^1],
        XElement element => string.Concat(element.Nodes().Select(Text)),
        _ => "",
    };

    [GeneratedRegex(@"\s+")]
    private static partial Regex WhiteSpace();
}
