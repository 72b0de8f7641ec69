using System.Net;

namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>An address that was chosen to be advertised.</summary>
/// <param name="Among">What it was chosen from: all of the machine's addresses, or those that one port is bound to.</param>
/// <param name="Address">The address.</param>
/// <param name="IsProvisional">Whether nothing decided but what the machine had, so that a route that appears replaces it.</param>
internal sealed record ChosenAddress(string Among, IPAddress Address, bool IsProvisional);
