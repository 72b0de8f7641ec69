namespace Discovery.AspNetCore.Registration;

/// <summary>One key of this application, as it stands while it serves.</summary>
/// <param name="Value">The value.</param>
/// <param name="Goodbye">The value that says that it drains; null when the layout cannot say so, and the key's deletion has to.</param>
internal sealed record RegistrationRecord(byte[] Value, byte[]? Goodbye);
