using Helloworld;
using Microsoft.AspNetCore.Mvc;

namespace Greeter.WebApi.Controllers;

/// <summary>Greets over HTTP by asking the greeter service over gRPC.</summary>
[ApiController]
[Route("greet")]
public sealed class GreetController(Helloworld.Greeter.GreeterClient greeter) : ControllerBase
{
    /// <summary>Greets somebody.</summary>
    [HttpGet("{name}")]
    public async Task<string> Get(string name, CancellationToken cancellationToken)
    {
        var reply = await greeter.SayHelloAsync(
            new HelloRequest { Name = name }, deadline: DateTime.UtcNow.AddSeconds(5), cancellationToken: cancellationToken);
        return reply.Message;
    }
}
