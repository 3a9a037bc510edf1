"""Every act that is written down, and whether it must wait for its entry."""

from enum import StrEnum


class Action(StrEnum):
    """The name of an act as it stands in the log; names are never reused for something else."""

    VISIT_CREATE = "visit.create"
    VISIT_EDIT = "visit.edit"
    VISIT_OPEN = "visit.open"
    VISIT_CANCEL = "visit.cancel"
    VISIT_EXPIRE = "visit.expire"
    VISIT_END = "visit.end"
    VISIT_READ = "visit.read"

    LINK_ISSUE = "link.issue"
    LINK_SEND = "link.send"
    LINK_OPEN = "link.open"
    LINK_REVOKE = "link.revoke"
    LINK_LOST = "link.lost"  # somebody asked for the link of a contact, known or not
    LINK_REISSUE = "link.reissue"  # one more token of a link, sent to the contact on file
    GUEST_INVITE = "guest.invite"  # an interpreter, a relative or a colleague, with a link of their own
    GUEST_REMOVE = "guest.remove"
    CODE_MINT = "code.mint"
    CODE_SEND = "code.send"
    CODE_TRY = "code.try"
    IDENTITY_VERIFIED = "identity.verified"
    IDENTITY_SEEN = "identity.seen"  # the clinician held the face to what they had

    JOIN = "join"
    ADMIT = "admit"
    REMOVE = "remove"
    LEAVE = "leave"
    BREAK_GLASS_ADMIT = "break_glass.admit"
    BREAK_GLASS_OPEN = "break_glass.open"
    BREAK_GLASS_APPROVE = "break_glass.approve"
    BREAK_GLASS_DENY = "break_glass.deny"
    BREAK_GLASS_CLOSE = "break_glass.close"
    TEAM_ADD = "visit.team.add"
    TEAM_REMOVE = "visit.team.remove"
    MEDIA_LEG_OPEN = "media.leg.open"
    MEDIA_LEG_CLOSE = "media.leg.close"
    SCREEN_SHARE = "screen.share"
    SCREEN_STOP = "screen.stop"

    CONSENT_ASK = "consent.ask"
    CONSENT_ANSWER = "consent.answer"
    CONSENT_REFUSE = "consent.refuse"
    CONSENT_WITHDRAW = "consent.withdraw"

    RECORDING_START = "recording.start"
    RECORDING_PAUSE = "recording.pause"
    RECORDING_RESUME = "recording.resume"
    RECORDING_STOP = "recording.stop"
    RECORDING_SEAL = "recording.seal"
    RECORDING_PROGRESS = "recording.progress"
    RECORDING_INTERRUPT = "recording.interrupt"
    RECORDING_RECOVER = "recording.recover"
    RECORDING_VERIFY = "recording.verify"
    RECORDING_RECONCILE = "recording.reconcile"
    RECORDING_LIST = "recording.list"
    RECORDING_READ = "recording.read"
    RECORDING_DOWNLOAD = "recording.download"
    RECORDING_EXPORT = "recording.export"
    EXPORT_REMOVE = "recording.export.remove"
    COPY_ASK = "copy.ask"
    COPY_APPROVE = "copy.approve"
    COPY_DECLINE = "copy.decline"
    COPY_SEND = "copy.send"
    COPY_OPEN = "copy.open"
    COPY_CODE = "copy.code"
    COPY_TRY = "copy.try"
    COPY_EXPIRE = "copy.expire"
    RECORDING_DELETE = "recording.delete"
    RECORDING_DELETE_ASK = "recording.delete.ask"
    RECORDING_DELETE_REFUSE = "recording.delete.refuse"
    RECORDING_PART_DELETE = "recording.part.delete"
    PLAYBACK_GRANT = "playback.grant"
    PLAYBACK_CLOSE = "playback.close"
    HOLD_SET = "hold.set"
    HOLD_RELEASE = "hold.release"
    CERTIFICATE_ISSUE = "certificate.issue"
    CERTIFICATE_READ = "certificate.read"
    RETENTION_CHANGE = "retention.change"
    RETENTION_SWEEP = "retention.sweep"

    SIGNIN_TRY = "signin.try"
    SIGNIN_OK = "signin.ok"
    SIGNIN_OUT = "signin.out"
    SESSION_END = "session.end"
    MFA_ENROL = "mfa.enrol"
    MFA_RESET = "mfa.reset"
    MFA_PROVE = "mfa.prove"
    DEVICE_LOST = "device.lost"
    PASSKEY_ADD = "passkey.add"  # the name of an act
    PASSKEY_REMOVE = "passkey.remove"  # the name of an act
    PASSKEY_SUSPEND = "passkey.suspend"  # the name of an act
    SSO_LINK = "sso.link"  # an account is tied to an identity of the clinic's provider
    SSO_UNLINK = "sso.unlink"
    PASSWORD_CHANGE = "password.change"  # noqa: S105  # the name of an act
    USER_CREATE = "user.create"
    USER_DISABLE = "user.disable"
    USER_ENABLE = "user.enable"
    USER_RESET = "user.reset"
    USER_RESET_ASK = "user.reset.ask"
    USER_RESET_REFUSE = "user.reset.refuse"
    USER_ROLE = "user.role"
    USER_READ = "user.read"
    TOKEN_CREATE = "token.create"  # noqa: S105  # the name of an act
    TOKEN_ROTATE = "token.rotate"  # noqa: S105  # the name of an act
    TOKEN_REVOKE = "token.revoke"  # noqa: S105  # the name of an act
    TOKEN_TRY = "token.try"  # noqa: S105  # the name of an act

    CONFIG_CHANGE = "config.change"
    KEYS_ROTATE = "keys.rotate"
    BACKUP = "backup"
    RESTORE = "restore"
    ACCESS_REFUSED = "access.refused"
    ACCESS_UNUSUAL = "access.unusual"  # allowed, from outside of a bound that only alerts
    ACCESS_EXPLAIN = "access.explain"
    AUDIT_READ = "audit.read"
    AUDIT_EXPORT = "audit.export"
    AUDIT_FORGET = "audit.forget"
    AUDIT_LOST = "audit.lost"
    ALERT_RAISE = "alert.raise"
    ALERT_SEND = "alert.send"
    ALERT_ACKNOWLEDGE = "alert.acknowledge"
    INCIDENT_OPEN = "incident.open"
    REGISTER_ADD = "register.add"
    REGISTER_CHANGE = "register.change"
    REGISTER_READ = "register.read"
    REGISTER_EXPORT = "register.export"
    REGISTER_REMIND = "register.remind"  # something in a register is due soon, due or overdue
    IDENTITY_PURGE = "identity.purge"  # who the patient of a visit was is forgotten
    PRIVACY_EXPORT = "privacy.export"  # de-identified visits or statistics leave
    REVIEW_CASE = "review.case"
    REVIEW_SIGN = "review.sign"
    SERVER_START = "server.start"
    SERVER_STOP = "server.stop"

    @property
    def opens(self) -> bool:
        """Whether the act gives somebody something, so that its entry must be durable before it happens."""
        return self not in _CLOSING


# Acts that end, refuse or protect: they happen at once, whatever the log does.
_CLOSING = frozenset(
    {
        Action.VISIT_CANCEL,
        Action.VISIT_EXPIRE,
        Action.VISIT_END,
        Action.LINK_OPEN,  # shows no patient data and consumes nothing
        Action.LINK_REVOKE,
        Action.GUEST_REMOVE,
        Action.LINK_LOST,  # what follows from it is entered as link.reissue
        Action.CODE_TRY,  # what a right code opens is entered as identity.verified
        Action.REMOVE,
        Action.LEAVE,
        Action.BREAK_GLASS_ADMIT,  # care goes on when the log is down
        Action.BREAK_GLASS_DENY,
        Action.BREAK_GLASS_CLOSE,
        Action.TEAM_REMOVE,
        Action.MEDIA_LEG_CLOSE,
        Action.SCREEN_STOP,
        Action.CONSENT_REFUSE,
        Action.CONSENT_WITHDRAW,
        Action.RECORDING_PAUSE,
        Action.RECORDING_STOP,
        Action.RECORDING_SEAL,
        Action.RECORDING_PROGRESS,
        Action.RECORDING_INTERRUPT,
        Action.RECORDING_RECOVER,
        Action.EXPORT_REMOVE,
        Action.COPY_DECLINE,
        Action.COPY_OPEN,  # shows nothing of anybody and consumes nothing
        Action.COPY_TRY,
        Action.COPY_EXPIRE,
        Action.RECORDING_DELETE_REFUSE,
        Action.PLAYBACK_CLOSE,
        Action.HOLD_SET,
        Action.SIGNIN_TRY,
        Action.SIGNIN_OUT,
        Action.SESSION_END,
        Action.DEVICE_LOST,
        Action.PASSKEY_REMOVE,
        Action.SSO_UNLINK,
        Action.PASSKEY_SUSPEND,
        Action.USER_RESET_REFUSE,
        Action.USER_DISABLE,
        Action.TOKEN_REVOKE,
        Action.TOKEN_TRY,
        Action.ACCESS_REFUSED,
        Action.ACCESS_UNUSUAL,
        Action.AUDIT_LOST,
        Action.ALERT_RAISE,
        Action.ALERT_SEND,  # holds no patient data, and must go out when the log is down
        Action.REGISTER_REMIND,  # codes alone, and must be told when the log is down
        Action.SERVER_STOP,
    }
)
