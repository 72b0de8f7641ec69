using System.Text;
using System.Text.Json.Nodes;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Etcd;

/// <summary>
/// Turns authentication on in an etcd that runs: the image has no setting for it. It speaks JSON with etcd's HTTP gateway. Each step can be
/// taken again, so one that was broken off, or an etcd whose data were kept, is no special case.
/// </summary>
internal sealed partial class EtcdAuthentication(HttpClient etcd, string userName, string password)
{
    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(10);

    // All keys are those from the least one on, without an end.
    private static readonly string LeastKey = Convert.ToBase64String([0]);

    /// <summary>Turns it on as the resource says, and logs it there.</summary>
    /// <exception cref="DistributedApplicationException">etcd refuses, or does not answer; says what to do.</exception>
    public static async Task EnableAsync(EtcdResource resource, ResourceReadyEvent ready, CancellationToken cancellationToken)
    {
        var logger = ready.Services.GetRequiredService<ResourceLoggerService>().GetLogger(resource);
        try
        {
            var userName = await ReadAsync(resource.UserNameParameter, cancellationToken).ConfigureAwait(false) ?? EtcdResource.RootUser;
            var password = await ReadAsync(resource.PasswordParameter, cancellationToken).ConfigureAwait(false) ?? "";
            // A proxy of the environment has no business with a port of this machine, nor with the password.
            using var etcd = new HttpClient(new SocketsHttpHandler { UseProxy = false })
            {
                BaseAddress = new Uri((await resource.UriExpression.GetValueAsync(cancellationToken).ConfigureAwait(false))!),
                Timeout = RequestTimeout,
            };
            await new EtcdAuthentication(etcd, userName, password).EnableAsync(cancellationToken).ConfigureAwait(false);
            Log.Enabled(logger, userName);
        }
        catch (DistributedApplicationException e)
        {
            Log.Failed(logger, e.Message);
            throw;
        }
    }

    /// <summary>Turns it on, and makes sure that the user is let in.</summary>
    /// <exception cref="DistributedApplicationException">etcd refuses, or does not answer; says what to do.</exception>
    public async Task EnableAsync(CancellationToken cancellationToken)
    {
        if (await TryAddUserAsync(EtcdResource.RootUser, EtcdResource.RootUser, cancellationToken).ConfigureAwait(false))
        {
            if (userName != EtcdResource.RootUser)
            {
                await AddRoleAsync(cancellationToken).ConfigureAwait(false);
                await TryAddUserAsync(userName, userName, cancellationToken).ConfigureAwait(false);
            }

            Require(await PostAsync("enable", [], cancellationToken).ConfigureAwait(false), "enable");
        }

        var answer = await PostAsync("authenticate", Named("name", userName, "password", password), cancellationToken).ConfigureAwait(false);
        if (!answer.IsSuccess)
        {
            throw new DistributedApplicationException(
                $"etcd has authentication from an earlier start and refuses user '{userName}': {answer.Message}. Use the user and the password of "
                + "that start, or remove etcd's data volume or folder.");
        }
    }

    private static async Task<string?> ReadAsync(ParameterResource? parameter, CancellationToken cancellationToken)
    {
        if (parameter is null)
        {
            return null;
        }

        var value = await parameter.GetValueAsync(cancellationToken).ConfigureAwait(false);
        return !string.IsNullOrEmpty(value) && !value.Contains('"', StringComparison.Ordinal)
            ? value
            : throw new DistributedApplicationException(
                $"The parameter '{parameter.Name}' is empty or has a double quote, which etcd's connection string cannot carry. Set another value, "
                + $"e.g. in the environment as Parameters__{parameter.Name.Replace('-', '_')}.");
    }

    /// <returns>False when authentication is on already: only a user who is let in may add others.</returns>
    private async Task<bool> TryAddUserAsync(string name, string role, CancellationToken cancellationToken)
    {
        var answer = await PostAsync("user/add", Named("name", name, "password", password), cancellationToken).ConfigureAwait(false);
        if (answer.AsksForUser)
        {
            return false;
        }

        if (answer.SaysItExists)
        {
            answer = await PostAsync("user/changepw", Named("name", name, "password", password), cancellationToken).ConfigureAwait(false);
        }

        Require(answer, "user/add");
        Require(await PostAsync("user/grant", Named("user", name, "role", role), cancellationToken).ConfigureAwait(false), "user/grant");
        return true;
    }

    private async Task AddRoleAsync(CancellationToken cancellationToken)
    {
        var answer = await PostAsync("role/add", new JsonObject { ["name"] = userName }, cancellationToken).ConfigureAwait(false);
        if (!answer.SaysItExists)
        {
            Require(answer, "role/add");
        }

        var permission = new JsonObject { ["permType"] = "READWRITE", ["key"] = LeastKey, ["range_end"] = LeastKey };
        Require(
            await PostAsync("role/grant", new JsonObject { ["name"] = userName, ["perm"] = permission }, cancellationToken).ConfigureAwait(false),
            "role/grant");
    }

    private static JsonObject Named(string first, string firstValue, string second, string secondValue)
        => new() { [first] = firstValue, [second] = secondValue };

    private static void Require(EtcdAnswer answer, string call)
    {
        if (!answer.IsSuccess)
        {
            throw new DistributedApplicationException($"etcd's authentication could not be set up (/v3/auth/{call}): {answer.Message}.");
        }
    }

    private async Task<EtcdAnswer> PostAsync(string call, JsonObject request, CancellationToken cancellationToken)
    {
        try
        {
            using var content = new StringContent(request.ToJsonString(), Encoding.UTF8, "application/json");
            using var response = await etcd.PostAsync(new Uri($"v3/auth/{call}", UriKind.Relative), content, cancellationToken).ConfigureAwait(false);
            return response.IsSuccessStatusCode
                ? EtcdAnswer.Success
                : EtcdAnswer.Read(response.StatusCode, await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false));
        }
        catch (Exception e) when (e is HttpRequestException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new DistributedApplicationException($"etcd does not answer at {etcd.BaseAddress}, so its authentication could not be set up. {e.Message}", e);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(5101, LogLevel.Information, "Authentication is on; the user is '{User}'.")]
        public static partial void Enabled(ILogger logger, string user);

        [LoggerMessage(5102, LogLevel.Error, "{Problem}")]
        public static partial void Failed(ILogger logger, string problem);
    }
}
