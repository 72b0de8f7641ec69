namespace Grpc.Core;

/// <summary>Writes and reads messages of one type.</summary>
public class Marshaller<T>(Action<T, SerializationContext> serializer, Func<DeserializationContext, T> deserializer)
{
    /// <summary>Writes a message into a context.</summary>
    public Action<T, SerializationContext> ContextualSerializer { get; } = serializer ?? throw new ArgumentNullException(nameof(serializer));

    /// <summary>Reads a message from a context.</summary>
    public Func<DeserializationContext, T> ContextualDeserializer { get; }
        = deserializer ?? throw new ArgumentNullException(nameof(deserializer));
}

/// <summary>Creates marshallers; generated code calls it.</summary>
public static class Marshallers
{
    /// <summary>Creates a marshaller.</summary>
    public static Marshaller<T> Create<T>(Action<T, SerializationContext> serializer, Func<DeserializationContext, T> deserializer)
        => new(serializer, deserializer);
}
