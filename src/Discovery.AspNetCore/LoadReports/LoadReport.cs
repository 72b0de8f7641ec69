using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Discovery.AspNetCore.LoadReports;

/// <summary>
/// What a server reports of its load with an answer: gRPC's <c>OrcaLoadReport</c> (xds.data.orca.v3), in the header or trailer of that name. Only
/// the fields that are used here; what gRPC and Envoy weigh servers by, and the calls in flight.
/// </summary>
/// <param name="InFlight">The calls that the server has in flight, the one answered left out.</param>
/// <param name="CpuUtilization">The part of the machine's processors that the process uses, from 0 to 1.</param>
/// <param name="RequestsPerSecond">The calls that it answers in a second.</param>
/// <param name="ErrorsPerSecond">How many of them fail.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct LoadReport(double InFlight, double CpuUtilization, double RequestsPerSecond, double ErrorsPerSecond)
{
    public const string HeaderName = "endpoint-load-metrics-bin";

    /// <summary>Requests in flight, among the metrics that ORCA leaves to be named.</summary>
    private const string InFlightName = "rif";

    /// <summary>The longest report that is read, in characters. Others may report dozens of metrics of their own.</summary>
    private const int MaxLength = 2048;

    /// <summary>More than any server has in flight.</summary>
    private const double MaxInFlight = 1e6;

    private const int Size = 48;

    // Number and wire type of a field: 64 bits, or a length and as many bytes.
    private const int CpuUtilizationTag = (1 << 3) | 1;
    private const int RequestsPerSecondTag = (6 << 3) | 1;
    private const int ErrorsPerSecondTag = (7 << 3) | 1;
    private const int NamedMetricsTag = (8 << 3) | 2;
    private const int NameTag = (1 << 3) | 2;
    private const int ValueTag = (2 << 3) | 1;

    /// <summary>The report as the header has it.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[Size];
        var length = WriteNumber(bytes, CpuUtilizationTag, CpuUtilization);
        length += WriteNumber(bytes[length..], RequestsPerSecondTag, RequestsPerSecond);
        length += WriteNumber(bytes[length..], ErrorsPerSecondTag, ErrorsPerSecond);
        bytes[length++] = NamedMetricsTag;
        bytes[length++] = (byte)(2 + InFlightName.Length + 1 + sizeof(double));
        bytes[length++] = NameTag;
        bytes[length++] = (byte)InFlightName.Length;
        length += Encoding.UTF8.GetBytes(InFlightName, bytes[length..]);
        length += WriteNumber(bytes[length..], ValueTag, InFlight);
        return Convert.ToBase64String(bytes[..length]);
    }

    /// <summary>Reads how many calls are in flight by a report.</summary>
    /// <returns>Whether the report is one. One that does not tell it is one too.</returns>
    public static bool TryReadInFlight(ReadOnlySpan<char> text, out double? inFlight)
    {
        inFlight = null;
        text = text.TrimEnd('=');
        if (text.Length > MaxLength)
        {
            return false;
        }

        // gRPC's headers leave the padding out.
        Span<char> padded = stackalloc char[text.Length + 3];
        text.CopyTo(padded);
        padded[text.Length..].Fill('=');
        Span<byte> bytes = stackalloc byte[text.Length];
        return Convert.TryFromBase64Chars(padded[..((text.Length + 3) / 4 * 4)], bytes, out var length) && TryRead(bytes[..length], ref inFlight);
    }

    private static bool TryRead(ReadOnlySpan<byte> report, ref double? inFlight)
    {
        while (report.Length > 0)
        {
            if (!TryReadField(ref report, out var tag, out var value))
            {
                return false;
            }

            if (tag == NamedMetricsTag)
            {
                if (!TryReadMetric(value, out var isInFlight, out var number))
                {
                    return false;
                }

                if (isInFlight)
                {
                    inFlight = number;
                }
            }
        }

        return inFlight is null or (>= 0 and <= MaxInFlight);
    }

    private static bool TryReadMetric(ReadOnlySpan<byte> entry, out bool isInFlight, out double number)
    {
        (isInFlight, number) = (false, 0);
        while (entry.Length > 0)
        {
            if (!TryReadField(ref entry, out var tag, out var value))
            {
                return false;
            }

            if (tag == NameTag)
            {
                isInFlight = value.SequenceEqual("rif"u8);
            }
            else if (tag == ValueTag)
            {
                number = BinaryPrimitives.ReadDoubleLittleEndian(value);
            }
        }

        return true;
    }

    /// <summary>Reads a field of any type and leaves what comes after it.</summary>
    private static bool TryReadField(ref ReadOnlySpan<byte> message, out ulong tag, out ReadOnlySpan<byte> value)
    {
        value = default;
        if (!TryReadVarint(ref message, out tag))
        {
            return false;
        }

        ulong length;
        switch (tag & 7)
        {
            case 0:
                return TryReadVarint(ref message, out _);
            case 1:
                length = sizeof(ulong);
                break;
            case 2 when TryReadVarint(ref message, out length):
                break;
            case 5:
                length = sizeof(uint);
                break;
            default:
                return false;
        }

        if (length > (ulong)message.Length)
        {
            return false;
        }

        value = message[..(int)length];
        message = message[(int)length..];
        return true;
    }

    private static bool TryReadVarint(ref ReadOnlySpan<byte> message, out ulong value)
    {
        value = 0;
        for (var i = 0; i < Math.Min(message.Length, 10); i++)
        {
            value |= (ulong)(message[i] & 0x7F) << (7 * i);
            if (message[i] < 0x80)
            {
                message = message[(i + 1)..];
                return true;
            }
        }

        return false;
    }

    private static int WriteNumber(Span<byte> to, int tag, double value)
    {
        to[0] = (byte)tag;
        BinaryPrimitives.WriteDoubleLittleEndian(to[1..], value);
        return 1 + sizeof(double);
    }
}
