namespace Discovery.Etcd;

/// <summary>What a member says of itself.</summary>
/// <param name="Endpoint">The endpoint that answered.</param>
/// <param name="Version">Its version, e.g. <c>3.4.23</c>.</param>
/// <param name="ClusterId">The cluster's id.</param>
/// <param name="MemberId">The member's id.</param>
/// <param name="LeaderId">The leader's member id; 0 while there is none.</param>
/// <param name="Revision">The member's revision of the key space.</param>
public sealed record EtcdMemberStatus(Uri Endpoint, string Version, ulong ClusterId, ulong MemberId, ulong LeaderId, long Revision);
