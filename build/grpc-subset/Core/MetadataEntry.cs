using System.Buffers;
using System.Text;

namespace Grpc.Core;

public sealed partial class Metadata
{
    /// <summary>One name with its value.</summary>
    public class Entry
    {
        private static readonly SearchValues<char> KeyCharacters
            = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

        private readonly string? _value;
        private readonly byte[]? _valueBytes;

        /// <summary>Creates a text entry.</summary>
        /// <exception cref="ArgumentException">The name has characters that a header cannot carry, or ends in <c>-bin</c>.</exception>
        public Entry(string key, string value)
        {
            Key = Normalize(key);
            _value = HasBinarySuffix(Key)
                ? throw new ArgumentException("Key for ASCII valued metadata entry cannot have suffix indicating binary value.")
                : value ?? throw new ArgumentNullException(nameof(value));
        }

        /// <summary>Creates a binary entry; the bytes are copied.</summary>
        /// <exception cref="ArgumentException">The name has characters that a header cannot carry, or does not end in <c>-bin</c>.</exception>
        public Entry(string key, byte[] valueBytes)
        {
            Key = Normalize(key);
            _valueBytes = HasBinarySuffix(Key)
                ? [.. valueBytes ?? throw new ArgumentNullException(nameof(valueBytes))]
                : throw new ArgumentException($"Key for binary valued metadata entry needs to have '{BinaryHeaderSuffix}' suffix indicating binary value.");
        }

        /// <summary>The name, in lower case.</summary>
        public string Key { get; }

        /// <summary>Whether the value is bytes.</summary>
        public bool IsBinary => _valueBytes is not null;

        /// <summary>The text.</summary>
        /// <exception cref="InvalidOperationException">The entry is binary.</exception>
        public string Value => _value ?? throw new InvalidOperationException("Cannot access string value of a binary metadata entry");

        /// <summary>A copy of the bytes; text gives its ASCII bytes.</summary>
        public byte[] ValueBytes => _valueBytes is null ? Encoding.ASCII.GetBytes(_value!) : [.. _valueBytes];

        /// <inheritdoc/>
        public override string ToString()
            => IsBinary ? $"[Entry: key={Key}, valueBytes={_valueBytes}]" : $"[Entry: key={Key}, value={_value}]";

        internal bool HasKey(string key) => string.Equals(Key, key, StringComparison.OrdinalIgnoreCase);

        private static string Normalize(string key)
        {
            ArgumentNullException.ThrowIfNull(key);
            return key.AsSpan().ContainsAnyExcept(KeyCharacters)
                ? throw new ArgumentException("Metadata entry key not valid. Keys can only contain lowercase alphanumeric characters, underscores, hyphens and dots.")
                : key.ToLowerInvariant();
        }

        private static bool HasBinarySuffix(string key) => key.EndsWith(BinaryHeaderSuffix, StringComparison.Ordinal);
    }
}
