"""The media edge: one UDP port, ICE-lite, DTLS-SRTP, encoded frames to a sink."""

from signaling.rtc.leg import Leg, LegClosed, LegState
from signaling.rtc.port import MediaPort, PortFull
from signaling.rtc.receive import LegStats
from signaling.rtc.sdp import OfferRefused

__all__ = ["Leg", "LegClosed", "LegState", "LegStats", "MediaPort", "OfferRefused", "PortFull"]
