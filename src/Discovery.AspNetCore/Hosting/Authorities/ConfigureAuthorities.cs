using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting.Authorities;

/// <summary>Has Kestrel accept what grpc-go calls this application's services; after the application's own settings, and around them.</summary>
internal sealed class ConfigureAuthorities(GoAuthorities authorities) : IPostConfigureOptions<KestrelServerOptions>
{
    // What Kestrel does without an encoding: text that is not UTF-8 is refused.
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public void PostConfigure(string? name, KestrelServerOptions options)
    {
        var own = options.RequestHeaderEncodingSelector;
        var standard = new AuthorityEncoding(StrictUtf8, authorities);
        options.RequestHeaderEncodingSelector = header =>
        {
            var encoding = own(header);
            return header != AuthorityEncoding.Header ? encoding
                : encoding is null ? standard
                : new AuthorityEncoding(encoding, authorities);
        };
    }
}
