using System.Net;
using System.Net.Http.Headers;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>Servers that accept connections and then treat calls badly, beside one that works.</summary>
public sealed class BadServersTests
{
    private const int RefusedStream = 7;

    public static TheoryData<string> Treatments => ["refuses streams", "goes away before each request", "goes away after each request", "says nothing"];

    [Theory]
    [MemberData(nameof(Treatments))]
    public async Task A_server_of_http_2_that_treats_calls_badly_is_left_for_the_one_that_works(string treatment)
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, "hello"), HttpProtocols.Http2);
        await using var bad = new RawHttp2Server((connection, request) => treatment switch
        {
            "refuses streams" => connection.ResetAsync(request, RefusedStream),
            "goes away before each request" => connection.GoAwayAsync(last: 0),
            "goes away after each request" => connection.GoAwayAsync(request),
            _ => Task.CompletedTask,
        });
        await field.RegisterAsync(bad.Address);
        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service), static o => o.Policy = "RoundRobin");
        var client = services.GetRequiredService<Greeter.GreeterClient>();
        var failed = 0;
        for (var i = 0; i < 100; i++)
        {
            try
            {
                await client.SayHelloAsync(new HelloRequest(), deadline: DateTime.UtcNow.AddSeconds(1));
            }
            catch (RpcException)
            {
                failed++;
            }
        }

        Assert.InRange(bad.Requests, 1, 100);
        Assert.InRange(failed, 1, 12);
    }

    [Fact]
    public async Task A_server_that_accepts_and_never_answers_a_tls_handshake_costs_a_connect_timeout()
    {
        await using var field = await Field.StartAsync();
        using var certificates = new TestCertificates("authority");
        using var certificate = certificates.Issue("svc");
        var good = await field.StartServerAsync(listen: l => l.UseHttps(certificate), metadata: "\"scheme\":\"https\"");
        using var silent = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        await field.RegisterAsync(silent.LocalEndpoint.ToString()!, "\"scheme\":\"https\"");
        using var client = field.Client(
            static o => (o.Scheme, o.Policy, o.ConnectTimeout) = ("https", "RoundRobin", TimeSpan.FromSeconds(3)),
            static b => b.ConfigureEtcdTransport(static t => t.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true));

        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(good.Address, await client.GetStringAsync("x"));
        }
    }

    [Fact]
    public async Task A_body_that_is_refused_before_it_is_sent_is_not_sent()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(static c =>
        {
            c.Response.StatusCode = StatusCodes.Status413PayloadTooLarge;
            return Task.CompletedTask;
        });
        await field.RegisterAsync(Field.DeadAddress(1));
        using var client = field.Client(static o => o.Policy = "RoundRobin", static b => b.ConfigureEtcdTransport(static t => t.Expect100ContinueTimeout = TimeSpan.FromSeconds(30)));

        for (var i = 0; i < 4; i++)
        {
            using var content = new CountedContent();
            using var request = new HttpRequestMessage(HttpMethod.Post, "x") { Content = content };
            request.Headers.ExpectContinue = true;
            using var response = await client.SendAsync(request);

            Assert.Equal((HttpStatusCode.RequestEntityTooLarge, 0), (response.StatusCode, content.Serialised));
        }
    }

    [Theory]
    [InlineData(HttpStatusCode.Found, "http://svc/other")]
    [InlineData(HttpStatusCode.Found, "http://elsewhere.example/x")]
    [InlineData(HttpStatusCode.TemporaryRedirect, "/other")]
    public async Task A_redirection_is_for_the_caller_and_cookies_are_nobodys(HttpStatusCode status, string location)
    {
        await using var field = await Field.StartAsync();
        var cookies = new List<string>();
        var server = await field.StartServerAsync(c =>
        {
            cookies.Add(c.Request.Headers.Cookie.ToString());
            c.Response.StatusCode = (int)status;
            c.Response.Headers.Location = location;
            c.Response.Cookies.Append("user", "alice");
            return Task.CompletedTask;
        });
        using var client = field.Client();

        for (var i = 0; i < 3; i++)
        {
            using var response = await client.GetAsync("x");
            Assert.Equal(status, response.StatusCode);
        }

        Assert.Equal(["", "", ""], cookies);
        Assert.Equal(3, server.Requests);
    }

    [Fact]
    public async Task A_proxy_is_refused_with_the_setting()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync();
        using var client = field.Client(configure: static b => b.ConfigureEtcdTransport(static t => (t.UseProxy, t.Proxy) = (true, new WebProxy("http://proxy.example:3128"))));

        var e = await Assert.ThrowsAnyAsync<Exception>(() => client.GetStringAsync("x"));

        Assert.Contains("UseProxy", e.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Headers_that_are_too_large_eject_nobody()
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync(static c =>
        {
            if (c.Request.Path == "/large")
            {
                c.Response.Headers["x-large"] = new string('x', 80 * 1024);
            }

            return Task.CompletedTask;
        });
        var other = await field.StartServerAsync();
        using var client = field.Client(static o => o.Policy = "RoundRobin");

        for (var i = 0; i < 40; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "large");
            request.Options.Set(EtcdRequestOptions.Instance, server.Address);
            await Assert.ThrowsAsync<HttpRequestException>(() => client.SendAsync(request));
            using var large = new HttpRequestMessage(HttpMethod.Get, "x");
            large.Headers.TryAddWithoutValidation("x-large", new string('x', 60 * 1024));
            large.Options.Set(EtcdRequestOptions.Instance, server.Address);
            using var response = await client.SendAsync(large);
            Assert.Equal(HttpStatusCode.RequestHeaderFieldsTooLarge, response.StatusCode);
        }

        var (before, beforeOther) = (server.Requests, other.Requests);
        for (var i = 0; i < 10; i++)
        {
            using var response = await client.GetAsync("x");
        }

        Assert.Equal((5, 5), (server.Requests - before, other.Requests - beforeOther));
    }

    /// <summary>Neither is sent: the one is no ASCII, and the other larger than servers of HTTP/2 say that they take.</summary>
    [Theory]
    [InlineData(1, "José", 1)]
    [InlineData(2, "José", 1)]
    [InlineData(2, "x", 40 * 1024)]
    public async Task A_header_that_cannot_be_sent_ejects_nobody(int version, string value, int times)
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 2; i++)
        {
            await field.StartServerAsync(protocols: version == 1 ? HttpProtocols.Http1 : HttpProtocols.Http2);
        }

        using var client = field.Client(static o => o.Policy = "RoundRobin");
        client.DefaultRequestVersion = version == 1 ? HttpVersion.Version11 : HttpVersion.Version20;
        client.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        await client.GetStringAsync("x");
        await client.GetStringAsync("x");

        client.DefaultRequestHeaders.TryAddWithoutValidation("x-user", string.Concat(Enumerable.Repeat(value, times)));
        for (var i = 0; i < 40; i++)
        {
            await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));
        }

        client.DefaultRequestHeaders.Remove("x-user");
        await client.GetStringAsync("x");
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("failing", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Metadata_of_grpc_that_are_too_large_eject_nobody(bool areInHeaders)
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 2; i++)
        {
            await field.StartServerAsync(
                async c =>
                {
                    if (areInHeaders)
                    {
                        c.Response.Headers["x-large"] = new string('x', 80 * 1024);
                    }

                    await GrpcAnswer.SendAsync(c, "hello");
                    if (!areInHeaders)
                    {
                        c.Response.AppendTrailer("x-large", new string('x', 80 * 1024));
                    }
                },
                HttpProtocols.Http2);
        }

        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service), static o => o.Policy = "RoundRobin");
        var client = services.GetRequiredService<Greeter.GreeterClient>();
        for (var i = 0; i < 20; i++)
        {
            await Assert.ThrowsAsync<RpcException>(async () => await client.SayHelloAsync(new HelloRequest()));
        }

        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("failing", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Calls_under_way_when_the_application_ends_are_ended_or_finished_and_later_ones_are_refused()
    {
        await using var field = await Field.StartAsync();
        var go = new TaskCompletionSource();
        var server = await field.StartServerAsync(async c =>
        {
            await c.Response.WriteAsync("half");
            await c.Response.Body.FlushAsync();
            await go.Task;
            await c.Response.WriteAsync(" and half");
        });
        var services = field.Application(static s => s.AddHttpClient("client").AddEtcdDiscovery(Field.Service));
        using var client = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        using var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead);
        var reading = response.Content.ReadAsStringAsync();

        await services.DisposeAsync();
        go.SetResult();

        Assert.Equal("half and half", await reading.WaitAsync(TimeSpan.FromSeconds(30)));
        var e = await Assert.ThrowsAnyAsync<Exception>(() => client.GetStringAsync("x").WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.IsNotType<TimeoutException>(e);
    }

    [Theory]
    [InlineData("a_b")]
    [InlineData("Grüße-日本")]
    [InlineData("svc+1~x")]
    [InlineData("-x-")]
    [InlineData("com.example.Greeter")]
    [InlineData("a:b")]
    [InlineData("100%")]
    [InlineData("..x")]
    [InlineData("12345")]
    [InlineData("1.2.3")]
    public async Task A_service_may_have_an_odd_name(string name)
    {
        await using var field = await Field.StartAsync();
        await using var rest = await BackendServer.StartAsync(static c => c.Response.WriteAsync("rest"));
        await using var grpc = await BackendServer.StartAsync(static c => GrpcAnswer.SendAsync(c, "grpc"), HttpProtocols.Http2);
        await field.RegisterAsync(rest.Address, "\"protocols\":\"h1\"", name);
        await field.RegisterAsync(grpc.Address, "\"protocols\":\"h2\"", name);
        var services = field.Application(s =>
        {
            s.AddHttpClient("client").AddEtcdDiscovery(name);
            s.AddEtcdGrpcClient<Greeter.GreeterClient>(name);
        });
        using var client = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");

        Assert.Equal("rest", await client.GetStringAsync("x"));
        Assert.Equal("grpc", (await services.GetRequiredService<Greeter.GreeterClient>().SayHelloAsync(new HelloRequest())).Message);
        if (Uri.CheckHostName(name) != UriHostNameType.Unknown)
        {
            Assert.Equal("rest", await client.GetStringAsync(new Uri($"http://{name}/x")));
        }
    }

    [Fact]
    public async Task Thousands_of_clients_by_name_share_the_connections_and_add_little_to_the_services()
    {
        const int Clients = 1000;
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync();
        var plain = new ServiceCollection();
        var descriptors = 0;
        var services = field.Application(s =>
        {
            plain.AddHttpClient("first");
            s.AddHttpClient("first").AddEtcdDiscovery(Field.Service);
            var (plainBefore, before) = (plain.Count, s.Count);
            for (var i = 0; i < Clients; i++)
            {
                plain.AddHttpClient($"client-{i}");
                s.AddHttpClient($"client-{i}").AddEtcdDiscovery(Field.Service);
            }

            descriptors = s.Count - before - (plain.Count - plainBefore);
        });

        var factory = services.GetRequiredService<IHttpClientFactory>();
        for (var i = 0; i < Clients; i++)
        {
            using var client = factory.CreateClient($"client-{i}");
            Assert.Equal(server.Address, await client.GetStringAsync("x"));
        }

        // The base address, the handler, and the hosts; each Add looks at all that are there already.
        Assert.InRange(descriptors, 0, 3 * Clients);
        Assert.InRange(server.Connections, 1, 3);
    }

    private sealed class CountedContent : HttpContent
    {
        // What is shorter is sent whatever the answer, for the connection is worth more.
        private const int Length = 10_000;

        public CountedContent() => Headers.ContentType = new MediaTypeHeaderValue("text/plain");

        public int Serialised { get; private set; }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            Serialised++;
            return stream.WriteAsync(new byte[Length]).AsTask();
        }

        protected override bool TryComputeLength(out long length)
        {
            length = Length;
            return true;
        }
    }
}
