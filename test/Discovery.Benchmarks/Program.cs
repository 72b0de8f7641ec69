Console.WriteLine("Benchmarks of Discovery.AspNetCore.");
