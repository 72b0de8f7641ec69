using Grpc.Core;
using Grpc.Net.Client;

namespace Discovery.Etcd.Connections;

/// <summary>
/// One HTTP/2 connection to one endpoint, shared by concurrent calls. A retired one takes no new calls and is closed when its last call
/// ends. Used under the lock of its <see cref="ReplaceableConnection"/>.
/// </summary>
internal sealed class EtcdConnection(GrpcChannel channel)
{
    private int _users;
    private bool _retired;

    /// <summary>Makes calls on it.</summary>
    public CallInvoker Invoker { get; } = channel.CreateCallInvoker();

    /// <summary>How many calls in a row got no answer on it.</summary>
    public int Silences { get; private set; }

    /// <summary>How many calls were answered on it.</summary>
    public long Answers { get; private set; }

    public bool IsUsed => _users > 0;

    public void AddUser() => _users++;

    public void RemoveUser(CallOutcome outcome)
    {
        _users--;
        switch (outcome)
        {
            case CallOutcome.Answered:
                Answers++;
                Silences = 0;
                break;
            case CallOutcome.Silent:
                Silences++;
                break;
        }

        CloseIfUnused();
    }

    public void Retire()
    {
        _retired = true;
        CloseIfUnused();
    }

    /// <summary>Closes it, and ends the calls on it.</summary>
    public void Close() => channel.Dispose();

    private void CloseIfUnused()
    {
        if (_retired && _users == 0)
        {
            Close();
        }
    }
}

/// <summary>What a call says of its connection.</summary>
internal enum CallOutcome
{
    /// <summary>Nothing: it was given up early, or lost with the connection.</summary>
    Unknown,

    /// <summary>The peer answered on it, whatever it said.</summary>
    Answered,

    /// <summary>The peer had all the time it should need, and did not answer on it.</summary>
    Silent,
}
