using Discovery.Fuzz;
using SharpFuzz;

// dotnet Discovery.Fuzz.dll TARGET: what afl-fuzz runs, see build/fuzz.sh. Without afl-fuzz it takes its standard input once.
if (args is not [var name] || Targets.Find(name) is not { } target)
{
    Console.Error.WriteLine($"Say what to feed: {string.Join(", ", Targets.Names)}.");
    return 2;
}

Fuzzer.OutOfProcess.Run(stream =>
{
    using var input = new MemoryStream();
    stream.CopyTo(input);
    target(input.ToArray());
});
return 0;
