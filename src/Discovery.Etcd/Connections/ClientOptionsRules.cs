using System.Globalization;
using Discovery.Etcd.Tls;

namespace Discovery.Etcd.Connections;

/// <summary>What the settings of the section <c>Etcd</c> must fulfil.</summary>
internal static class ClientOptionsRules
{
    private static readonly TimeSpan LeastPingDelay = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Least = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Most = TimeSpan.FromHours(1);

    public static IReadOnlyList<string> Check(EtcdClientOptions options, string section)
    {
        var failures = new List<string>();
        options.ParseEndpoints(failures, section);
        CheckTime(failures, section, nameof(options.RequestTimeout), options.RequestTimeout, Least, "00:00:05");
        CheckTime(failures, section, nameof(options.AttemptTimeout), options.AttemptTimeout, Least, "00:00:01");
        CheckTime(failures, section, nameof(options.KeepAlivePingDelay), options.KeepAlivePingDelay, LeastPingDelay, "00:00:10");
        CheckTime(failures, section, nameof(options.KeepAlivePingTimeout), options.KeepAlivePingTimeout, TimeSpan.FromSeconds(1), "00:00:05");
        CheckUser(failures, section, options);
        CheckTls(failures, section, options.Tls);
        return failures;
    }

    private static void CheckTime(List<string> failures, string section, string name, TimeSpan value, TimeSpan least, string example)
    {
        if (value < least || value > Most)
        {
            failures.Add(string.Create(CultureInfo.InvariantCulture, $"{section}:{name} is '{value}': set a time from {least} to {Most}, e.g. {example}."));
        }
    }

    private static void CheckUser(List<string> failures, string section, EtcdClientOptions options)
    {
        if (!string.IsNullOrEmpty(options.Username) && string.IsNullOrEmpty(options.Password))
        {
            failures.Add($"{section}:Password is not set, but {section}:Username is '{options.Username}': set both, or neither.");
        }
        else if (string.IsNullOrEmpty(options.Username) && !string.IsNullOrEmpty(options.Password))
        {
            failures.Add($"{section}:Username is not set, but {section}:Password is: set both, e.g. {section}:Username to 'root', or neither.");
        }
    }

    private static void CheckTls(List<string> failures, string section, EtcdTlsOptions tls)
    {
        var before = failures.Count;
        CheckFile(failures, section, nameof(tls.CaFile), tls.CaFile, "/etc/etcd/ca.pem");
        CheckFile(failures, section, nameof(tls.CertificateFile), tls.CertificateFile, "/etc/etcd/client.pem");
        CheckFile(failures, section, nameof(tls.KeyFile), tls.KeyFile, "/etc/etcd/client-key.pem");
        if (!string.IsNullOrEmpty(tls.ServerName) && Uri.CheckHostName(tls.ServerName) == UriHostNameType.Unknown)
        {
            failures.Add($"{section}:Tls:ServerName is '{tls.ServerName}', which is no host name: set the name that etcd's certificate bears, e.g. etcd.example.com.");
        }

        if (!string.IsNullOrEmpty(tls.KeyFile) && string.IsNullOrEmpty(tls.CertificateFile))
        {
            failures.Add($"{section}:Tls:CertificateFile is not set, but {section}:Tls:KeyFile is '{tls.KeyFile}': set both, e.g. /etc/etcd/client.pem.");
        }

        if (!string.IsNullOrEmpty(tls.KeyPassword) && string.IsNullOrEmpty(tls.CertificateFile) && string.IsNullOrEmpty(tls.KeyFile))
        {
            failures.Add($"{section}:Tls:KeyPassword is set, but {section}:Tls:CertificateFile is not, so there is no key that it is for: set both, e.g. /etc/etcd/client.pem, or neither.");
        }

        // As wrong as files that are not there: no waiting mends them. Those that are renewed later are looked at for each connection, and
        // the ones before serve on while they are not whole.
        if (failures.Count == before && TlsFiles.FindProblem(tls, section) is { } problem)
        {
            failures.Add($"{section}:Tls is not valid: {problem}");
        }
    }

    private static void CheckFile(List<string> failures, string section, string name, string? path, string example)
    {
        if (!string.IsNullOrEmpty(path) && !File.Exists(path))
        {
            var lookedFor = Path.IsPathFullyQualified(path) ? "" : $" ({Path.Combine(Environment.CurrentDirectory, path)})";
            failures.Add($"{section}:Tls:{name} is '{path}', which does not exist{lookedFor}: set the path of a file, e.g. {example}.");
        }
    }
}
