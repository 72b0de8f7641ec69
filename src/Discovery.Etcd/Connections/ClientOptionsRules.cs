using System.Globalization;

namespace Discovery.Etcd.Connections;

/// <summary>What the settings of the section <c>Etcd</c> must fulfil.</summary>
internal static class ClientOptionsRules
{
    private static readonly TimeSpan LeastPingDelay = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Least = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Most = TimeSpan.FromHours(1);

    public static IReadOnlyList<string> Check(EtcdClientOptions options)
    {
        var failures = new List<string>();
        options.ParseEndpoints(failures);
        CheckTime(failures, nameof(options.RequestTimeout), options.RequestTimeout, Least, "00:00:05");
        CheckTime(failures, nameof(options.AttemptTimeout), options.AttemptTimeout, Least, "00:00:01");
        CheckTime(failures, nameof(options.KeepAlivePingDelay), options.KeepAlivePingDelay, LeastPingDelay, "00:00:10");
        CheckTime(failures, nameof(options.KeepAlivePingTimeout), options.KeepAlivePingTimeout, TimeSpan.FromSeconds(1), "00:00:05");
        CheckUser(failures, options);
        CheckTls(failures, options.Tls);
        return failures;
    }

    private static void CheckTime(List<string> failures, string name, TimeSpan value, TimeSpan least, string example)
    {
        if (value < least || value > Most)
        {
            failures.Add(string.Create(CultureInfo.InvariantCulture, $"Etcd:{name} is '{value}': set a time from {least} to {Most}, e.g. {example}."));
        }
    }

    private static void CheckUser(List<string> failures, EtcdClientOptions options)
    {
        if (!string.IsNullOrEmpty(options.Username) && string.IsNullOrEmpty(options.Password))
        {
            failures.Add($"Etcd:Password is not set, but Etcd:Username is '{options.Username}': set both, or neither.");
        }
        else if (string.IsNullOrEmpty(options.Username) && !string.IsNullOrEmpty(options.Password))
        {
            failures.Add("Etcd:Username is not set, but Etcd:Password is: set both, e.g. Etcd:Username to 'root', or neither.");
        }
    }

    private static void CheckTls(List<string> failures, EtcdTlsOptions tls)
    {
        CheckFile(failures, nameof(tls.CaFile), tls.CaFile, "/etc/etcd/ca.pem");
        CheckFile(failures, nameof(tls.CertificateFile), tls.CertificateFile, "/etc/etcd/client.pem");
        CheckFile(failures, nameof(tls.KeyFile), tls.KeyFile, "/etc/etcd/client-key.pem");
        if (!string.IsNullOrEmpty(tls.KeyFile) && string.IsNullOrEmpty(tls.CertificateFile))
        {
            failures.Add($"Etcd:Tls:CertificateFile is not set, but Etcd:Tls:KeyFile is '{tls.KeyFile}': set both, e.g. /etc/etcd/client.pem.");
        }
    }

    private static void CheckFile(List<string> failures, string name, string? path, string example)
    {
        if (!string.IsNullOrEmpty(path) && !File.Exists(path))
        {
            failures.Add($"Etcd:Tls:{name} is '{path}', which does not exist: set the path of a file, e.g. {example}.");
        }
    }
}
