using Microsoft.Extensions.Configuration;

namespace Discovery.Etcd.Configuration.Tests;

/// <summary>What an application hears that wired neither a log nor a callback. The standard error is the process's, so nothing runs beside.</summary>
[Collection(Alone.Name)]
public sealed class StandardErrorTests : IAsyncLifetime
{
    private readonly StringWriter _said = new();
    private readonly TextWriter _before = Console.Error;
    private EtcdFixture _etcd = null!;

    public async Task InitializeAsync()
    {
        _etcd = await EtcdFixture.StartAsync();
        Console.SetError(TextWriter.Synchronized(_said));
    }

    public async Task DisposeAsync()
    {
        Console.SetError(_before);
        await _etcd.DisposeAsync();
    }

    [Fact]
    public async Task A_broken_document_is_said_in_one_line_at_the_start_and_when_it_is_broken_later()
    {
        await _etcd.PutAsync("config/worker/appsettings.json", """{ "Name": "s3cret", }}""");
        await _etcd.PutAsync("config/worker/Work/a.json", """{ "Name": "x" }""");

        using var configuration = _etcd.Configure("config/worker/", static o => (o.LoggerFactory, o.OnProblem) = (null, null));

        var line = Assert.Single(Lines());
        Assert.StartsWith("Discovery.Etcd.Configuration: The key 'config/worker/appsettings.json' cannot be used: ", line, StringComparison.Ordinal);
        Assert.EndsWith("It is left out.", line, StringComparison.Ordinal);

        await _etcd.PutAsync("config/worker/Work/a.json", """{ "Name": "s3cret", """);

        await Eventually.IsTrue(() => Lines().Length == 2);
        Assert.Contains("'config/worker/Work/a.json'", Lines()[1], StringComparison.Ordinal);
        Assert.EndsWith("Its last usable value stands.", Lines()[1], StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", _said.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_application_that_wired_a_log_or_a_callback_has_the_standard_error_to_itself(bool log)
    {
        await _etcd.PutAsync("config/worker/appsettings.json", "{");

        using var configuration = _etcd.Configure("config/worker/", o =>
        {
            o.LoggerFactory = log ? _etcd.Loggers : null;
            o.OnProblem = log ? null : static _ => { };
        });

        Assert.Empty(Lines());
        Assert.Equal(log, _etcd.Log.Lines.Any(l => l.Contains("'config/worker/appsettings.json'", StringComparison.Ordinal)));
    }

    private string[] Lines() => _said.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
}
