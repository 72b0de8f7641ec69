using Google.Protobuf;

namespace Discovery.Etcd.Protocol;

/// <summary>The text of this message, which would hold the password, holds the user only.</summary>
internal sealed partial class AuthenticateRequest : ICustomDiagnosticMessage
{
    string ICustomDiagnosticMessage.ToDiagnosticString() => $"{{ name: {Name} }}";
}

/// <summary>The text of this message, which would hold the token, holds nothing.</summary>
internal sealed partial class AuthenticateResponse : ICustomDiagnosticMessage
{
    string ICustomDiagnosticMessage.ToDiagnosticString() => "{ }";
}
