namespace Discovery.AspNetCore;

/// <summary>What differs for one Kestrel endpoint.</summary>
public sealed class RegisteredEndpointOptions
{
    /// <summary>Whether the endpoint is registered. Default: <see langword="true"/>.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>The URL by which others reach it, instead of the bound address.</summary>
    public string? AdvertisedUrl { get; set; }

    /// <summary>Metadata beside that of the service; wins over it.</summary>
    public IDictionary<string, string> Metadata { get; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
