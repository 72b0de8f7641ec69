namespace GrpcGreeter;

/// <summary>
/// Makes the namespace be there that <c>dotnet new grpc</c> gives its .proto: snippets name it, and the types in it are those of the examples.
/// </summary>
public interface IGrpcGreeter;
