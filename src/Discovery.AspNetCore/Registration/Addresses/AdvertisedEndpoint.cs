namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>An endpoint as others are to reach it.</summary>
/// <param name="Name">Its name: Kestrel's, or the scheme of an unnamed one.</param>
/// <param name="Scheme"><c>http</c> or <c>https</c>.</param>
/// <param name="Host">The host; IPv6 without brackets.</param>
/// <param name="Port">The port.</param>
internal sealed record AdvertisedEndpoint(string Name, string Scheme, string Host, int Port);
