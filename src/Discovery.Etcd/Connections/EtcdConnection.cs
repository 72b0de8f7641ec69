namespace Discovery.Etcd.Connections;

/// <summary>
/// One HTTP/2 connection to one endpoint, shared by concurrent calls. A retired one takes no new calls and is closed when its last call
/// ends. Used under the lock of its <see cref="ConnectionSlot"/>.
/// </summary>
internal sealed class EtcdConnection(HttpMessageInvoker invoker)
{
    private int _users;
    private bool _retired;

    public HttpMessageInvoker Invoker => invoker;

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

    private void CloseIfUnused()
    {
        if (_retired && _users == 0)
        {
            invoker.Dispose();
        }
    }
}
