"""aiortc kept on the loopback interface, for the load and for the recorder it is compared with."""

import aioice.ice
from aiortc import RTCConfiguration, RTCPeerConnection


def peer_connection() -> RTCPeerConnection:
    """A connection whose only candidate is on 127.0.0.1; no STUN server is asked."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))
