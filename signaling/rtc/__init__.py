"""The media edge: one UDP port, ICE-lite, DTLS-SRTP, encoded frames to a sink."""

from signaling.rtc.leg import Leg, LegClosed, LegState
from signaling.rtc.port import MediaPort, PortFull
from signaling.rtc.room import Slot
from signaling.rtc.sdp import OfferRefused
from signaling.rtc.stats import LegStats

__all__ = ["Leg", "LegClosed", "LegState", "LegStats", "MediaPort", "OfferRefused", "PortFull", "Slot"]
