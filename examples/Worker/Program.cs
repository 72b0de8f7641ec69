using Helloworld;
using Worker;

// A generic host: no Kestrel, no port. It calls by name as a web application does.
var builder = Host.CreateApplicationBuilder(args);

builder.Services.AddEtcdGrpcClient<Greeter.GreeterClient>("greeter");
builder.Services.AddHostedService<GreetingWorker>();

await builder.Build().RunAsync();
