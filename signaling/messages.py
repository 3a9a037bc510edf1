"""What comes over a socket, parsed once: a frozen value, or Malformed."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from telehealth.errors import Malformed

LONGEST_SDP = 48 * 1024  # characters, ASCII alone, so octets too
LONGEST_OFFER = 96 * 1024  # to the relay: a section for each picture and sound of eight people

ParticipantId = Annotated[str, StringConstraints(pattern=r"^par_[a-z2-7]{26}$")]
VisitId = Annotated[str, StringConstraints(pattern=r"^vis_[a-z2-7]{26}$")]
RequestId = Annotated[str, StringConstraints(pattern=r"^con_[a-z2-7]{26}$")]
Page = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Sdp = Annotated[str, StringConstraints(max_length=LONGEST_SDP, pattern=r"^[\x09\x0a\x0d\x20-\x7e]*$")]
Coordinate = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
Purpose = Literal["treatment_record", "second_opinion", "training"]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Empty(_Message):
    """`{}` or nothing at all."""


Proof = Annotated[str, StringConstraints(max_length=200)]  # that the browser holds the session's key


# Why staff say they need it, where the clinic's rules want it said (telehealth.access.PURPOSES).
PurposeOfUse = Literal["treatment", "quality", "legal", "patient_request", "emergency"]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class WatchAuth(_Message):
    watch: Literal[True]
    proof: Proof | None = None
    purpose: PurposeOfUse | None = None


class CallAuth(_Message):
    visit: VisitId
    proof: Proof | None = None
    purpose: PurposeOfUse | None = None


class JoinAuth(_Message):
    join: Literal[True]


class PublicKey(BaseModel):
    """A public JWK; browsers add `ext` and `key_ops`, which say nothing to us."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: Coordinate
    y: Coordinate


class Enter(_Message):
    public_key: PublicKey
    language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}$")]
    audio: bool
    video: bool
    page: Page | None = None
    break_glass: bool = False
    words: Words | None = None  # why, where the glass is broken


class Admit(_Message):
    participant: ParticipantId
    break_glass: bool = False
    words: Words | None = None  # why, where the glass is broken


class Remove(_Message):
    participant: ParticipantId


class Description(_Message):
    type: Literal["offer", "answer", "pranswer", "rollback"]
    sdp: Sdp = ""


class Candidate(_Message):
    candidate: Annotated[str, StringConstraints(max_length=1024)]
    sdp_mid: Annotated[str, StringConstraints(max_length=64)] | None = Field(default=None, alias="sdpMid")
    sdp_line: Annotated[int, Field(ge=0, le=1024)] | None = Field(default=None, alias="sdpMLineIndex")
    fragment: Annotated[str, StringConstraints(max_length=256)] | None = Field(default=None, alias="usernameFragment")


class Signal(_Message):
    to: ParticipantId
    description: Description | None = None
    candidate: Candidate | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Signal":
        if self.description is not None and self.candidate is not None:
            raise ValueError("either a description or a candidate")
        return self

    @property
    def empty(self) -> bool:
        """The end of candidates: every browser notices that by itself."""
        return self.description is None and self.candidate is None

    def relayed(self, sender: str, page: str | None) -> dict[str, Any]:
        """What the other side gets."""
        return {
            "from": sender,
            "page": page,
            "description": self.description.model_dump() if self.description else None,
            "candidate": self.candidate.model_dump(by_alias=True) if self.candidate else None,
        }


class Media(_Message):
    audio: bool
    video: bool
    screen: bool


class ScreenPolicy(_Message):
    forbidden: bool


# What carries the media, as the browser's selected pair says.
Path = Literal["udp", "tcp", "turn_udp", "turn_tcp", "turn_tls"]


class QualityReport(_Message):
    level: Annotated[int, Field(ge=0, le=4)]
    rtt_ms: Annotated[float, Field(ge=0, le=600_000, allow_inf_nan=False)]
    loss: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    jitter_ms: Annotated[float, Field(ge=0, le=600_000, allow_inf_nan=False)] = 0.0
    freezes: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    frozen_ms: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 0.0
    path: Path | None = None


class Ask(_Message):
    purpose: Purpose


class ConsentAnswer(_Message):
    request: RequestId
    answer: Literal["yes", "no"]
    receipt: Annotated[str, StringConstraints(max_length=2048)]
    signature: Annotated[str, StringConstraints(max_length=128)]


class LegOffer(_Message):
    sdp: Annotated[str, StringConstraints(max_length=LONGEST_OFFER, pattern=r"^[\x09\x0a\x0d\x20-\x7e]*$")]


class Chat(_Message):
    text: Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class LegReady(_Message):
    turn: Annotated[int, Field(ge=0, le=1_000_000)]


M = TypeVar("M", bound=BaseModel)


def parse(model: type[M], payload: Any) -> M:
    """The message, or Malformed naming the field."""
    try:
        return model.model_validate({} if payload is None else payload)
    except ValidationError as error:
        raise Malformed(".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])) from error


def parse_auth(payload: Any) -> WatchAuth | CallAuth | JoinAuth:
    """What a socket is opened for. Raises Malformed."""
    kinds: tuple[tuple[str, type[WatchAuth | CallAuth | JoinAuth]], ...] = (
        ("watch", WatchAuth),
        ("visit", CallAuth),
        ("join", JoinAuth),
    )
    for name, model in kinds:
        if isinstance(payload, dict) and name in payload:
            return parse(model, payload)
    raise Malformed("auth")
