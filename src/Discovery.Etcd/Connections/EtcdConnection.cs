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
    public int Silences { get; set; }

    public void AddUser() => _users++;

    public void RemoveUser()
    {
        _users--;
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
