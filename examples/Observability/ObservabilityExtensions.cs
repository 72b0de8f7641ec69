using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace Observability;

internal static class ObservabilityExtensions
{
    /// <summary>
    /// Exports metrics and traces, those of discovery among them: by OTLP where <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> says to whom, else to the
    /// console.
    /// </summary>
    public static void AddObservability(this WebApplicationBuilder builder)
    {
        var telemetry = builder.Services.AddOpenTelemetry()
            .WithMetrics(static metrics => metrics
                .AddMeter("Discovery.AspNetCore", "Discovery.Etcd")
                .AddAspNetCoreInstrumentation()
                .AddHttpClientInstrumentation())
            .WithTracing(static tracing => tracing
                .AddSource("Discovery.AspNetCore")
                .AddAspNetCoreInstrumentation()
                .AddHttpClientInstrumentation());

        if (string.IsNullOrEmpty(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]))
        {
            telemetry
                .WithMetrics(static metrics => metrics.AddConsoleExporter())
                .WithTracing(static tracing => tracing.AddConsoleExporter());
        }
        else
        {
            telemetry.UseOtlpExporter();
        }
    }
}
