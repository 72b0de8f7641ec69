using System.Net;
using Discovery.AspNetCore.Calls;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Tests.Calls;

public sealed class SteeringTests
{
    [Fact]
    public async Task A_call_reaches_the_instance_it_names_by_id_or_address_and_the_metadata_is_not_sent()
    {
        await using var harness = new Harness();
        var names = new List<(string Name, string Address)>();
        for (var i = 0; i < 3; i++)
        {
            var address = "";
            var server = await harness.StartServerAsync(c => c.Response.WriteAsync(
                address + string.Concat(c.Request.Headers.Keys.Where(static k => k.StartsWith("discovery-", StringComparison.OrdinalIgnoreCase)))));
            address = server.Address;
            harness.Register(address, id: $"id-{i}");
            names.Add(($"id-{i}", address));
            names.Add((address, address));
        }

        using var client = harness.Client();
        foreach (var (name, address) in names)
        {
            using var request = Pinned(name);
            request.Headers.Add("discovery-hash-key", "k");
            using var response = await client.SendAsync(request);

            Assert.Equal(address, await response.Content.ReadAsStringAsync());
            Assert.Equal(name, request.Headers.GetValues("discovery-instance").Single());
        }
    }

    [Fact]
    public async Task Of_the_addresses_of_one_process_the_one_of_the_requests_scheme_is_called()
    {
        await using var harness = new Harness();
        harness.Register("127.0.0.1:9", id: "a", scheme: "https");
        var server = await harness.StartServerAsync();
        harness.Register(server.Address, id: "a", scheme: "http");
        harness.Register("127.0.0.1:10", id: "a", scheme: "https");
        using var client = harness.Client();

        using var response = await client.SendAsync(Pinned("a"));
        Assert.Equal(server.Address, await response.Content.ReadAsStringAsync());

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.SendAsync(Pinned("127.0.0.1:9")));
        Assert.Equal("Instance '127.0.0.1:9' of service 'svc' (discovery-instance) supports no http calls.", e.Message);
    }

    [Fact]
    public async Task A_pinned_call_goes_nowhere_else_when_its_instance_cannot_be_connected_to()
    {
        await using var harness = new Harness();
        var server = await harness.StartServerAsync();
        var gone = Harness.RefusingAddress();
        harness.Register(gone, id: "gone");
        using var client = harness.Client();

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.SendAsync(Pinned("gone")));

        Assert.Contains($"1 instance tried ({gone})", e.Message, StringComparison.Ordinal);
        Assert.Equal(0, server.Requests);
    }

    [Fact]
    public async Task An_instance_that_is_not_there_is_unavailable_for_grpc_and_an_error_for_http()
    {
        await using var harness = new Harness();
        var server = await harness.StartServerAsync();
        using var client = harness.Client();
        var expected = $"Service 'svc' has no instance 'id-9' (discovery-instance); it has 1 instance, e.g. '{server.Address}'.";

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.SendAsync(Pinned("id-9")));
        Assert.Equal(expected, e.Message);

        using var request = Pinned("id-9");
        request.Content = new ByteArrayContent([]);
        request.Content.Headers.ContentType = new("application/grpc");
        using var response = await client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("14", response.Headers.GetValues("grpc-status").Single());
        Assert.Equal(expected, Uri.UnescapeDataString(response.Headers.GetValues("grpc-message").Single()));
    }

    [Fact]
    public async Task A_retry_above_picks_anew_and_is_steered_as_the_first_attempt_was()
    {
        await using var harness = new Harness(client: c => c.AddHttpMessageHandler(() => new Retry()));
        var bad = await harness.StartServerAsync(Fail);
        var good = await harness.StartServerAsync();
        harness.Register(bad.Address, id: "bad");
        using var client = harness.Client();

        for (var i = 0; i < 4; i++)
        {
            Assert.Equal(good.Address, await client.GetStringAsync("x"));
        }

        var before = bad.Requests;
        using var response = await client.SendAsync(Pinned("bad"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(before + 3, bad.Requests);

        static Task Fail(HttpContext context)
        {
            context.Response.StatusCode = 503;
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task Options_steer_as_metadata_does_and_metadata_wins()
    {
        await using var harness = new Harness();
        foreach (var id in new[] { "a", "b" })
        {
            var server = await harness.StartServerAsync(c => c.Response.WriteAsync(id));
            harness.Register(server.Address, id: id);
        }

        using var client = harness.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, "x");
        request.Options.Set(EtcdRequestOptions.Instance, "a");
        using var response = await client.SendAsync(request);
        Assert.Equal("a", await response.Content.ReadAsStringAsync());

        using var both = Pinned("b");
        both.Options.Set(EtcdRequestOptions.Instance, "a");
        using var other = await client.SendAsync(both);
        Assert.Equal("b", await other.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_version_is_asked_for_by_an_option_as_by_metadata_and_metadata_wins()
    {
        await using var harness = new Harness();
        foreach (var version in new[] { "v1", "v2" })
        {
            var server = await harness.StartServerAsync(c => c.Response.WriteAsync(version));
            harness.Etcd.Put(
                $"services/{Harness.Service}/{server.Address}",
                System.Text.Encoding.UTF8.GetBytes($$$"""{"Addr":"{{{server.Address}}}","Metadata":{"version":"{{{version}}}"}}"""));
        }

        using var client = harness.Client();
        for (var i = 0; i < 6; i++)
        {
            using var request = OfVersion(i % 2 == 0 ? "v1" : "v2");
            using var response = await client.SendAsync(request);
            Assert.Equal(i % 2 == 0 ? "v1" : "v2", await response.Content.ReadAsStringAsync());

            using var both = OfVersion("v1");
            both.Headers.Add(EtcdCallMetadata.Version, "v2");
            using var other = await client.SendAsync(both);
            Assert.Equal("v2", await other.Content.ReadAsStringAsync());
        }

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.SendAsync(OfVersion("v3")));
        Assert.Contains("none of version 'v3' (discovery-version); there are the versions v1, v2", e.Message, StringComparison.Ordinal);

        static HttpRequestMessage OfVersion(string version)
        {
            var request = new HttpRequestMessage(HttpMethod.Get, "x");
            request.Options.Set(EtcdRequestOptions.Version, version);
            return request;
        }
    }

    [Fact]
    public async Task The_version_is_not_sent()
    {
        await using var harness = new Harness();
        var server = await harness.StartServerAsync(static c => c.Response.WriteAsync(string.Join(',', c.Request.Headers.Keys)));
        harness.Etcd.Put(
            $"services/{Harness.Service}/{server.Address}",
            System.Text.Encoding.UTF8.GetBytes($$$"""{"Addr":"{{{server.Address}}}","Metadata":{"version":"2"}}"""));
        using var client = harness.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, "x") { Headers = { { EtcdCallMetadata.Version, "2" }, { "X-Other", "y" } } };

        using var response = await client.SendAsync(request);

        Assert.Equal("Host,X-Other", await response.Content.ReadAsStringAsync());
        Assert.Equal("2", request.Headers.GetValues(EtcdCallMetadata.Version).Single());
    }

    [Fact]
    public void To_look_for_options_and_headers_makes_none()
    {
        Assert.True(MessageParts.AreReadable);
        using var request = new HttpRequestMessage();
        Assert.Null(MessageParts.OptionsOf(request));
        Assert.Null(MessageParts.HeadersOf(request));

        request.Options.Set(EtcdRequestOptions.HashKey, "k");
        Assert.Same(request.Options, MessageParts.OptionsOf(request));
        Assert.Same(request.Headers, MessageParts.HeadersOf(request));
    }

    private static HttpRequestMessage Pinned(string instance) => new(HttpMethod.Get, "x") { Headers = { { "discovery-instance", instance } } };

    /// <summary>As a resilience handler does it: the same request, up to three times.</summary>
    private sealed class Retry : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            for (var attempt = 1; ; attempt++)
            {
                var response = await base.SendAsync(request, cancellationToken);
                if (response.IsSuccessStatusCode || attempt == 3)
                {
                    return response;
                }

                response.Dispose();
            }
        }
    }
}
