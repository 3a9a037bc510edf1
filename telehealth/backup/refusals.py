"""Why a backup is not made, not believed, or not restored."""

from typing import ClassVar

from telehealth.errors import Reason, Refusal


class _Said(Refusal):
    """A refusal that can say which thing it is about: a place, a set or a member, never what is in it."""

    def __init__(self, about: str = "") -> None:
        super().__init__()
        self.about = about

    def __str__(self) -> str:
        return self.about or self.code


class BackupNotConfigured(_Said):
    """No places or nobody to encrypt for."""

    code: ClassVar[str] = "backup_not_configured"
    reason = Reason.CONFLICT
    message = "A backup needs two places and a recipient: backup.to, backup.keys_to and backup.recipients."


class BackupNeedsDays(_Said):
    """Certificates say from when on no copy of a key is left; without an age limit that would be untrue."""

    code: ClassVar[str] = "backup_needs_days"
    reason = Reason.CONFLICT
    message = (
        "recording.backup_days is 0: certificates of deletion promise that no backup of keys exists. "
        "Set it to the days such a backup may live, or make a backup without keys."
    )


class BackupTogether(_Said):
    """Whoever takes one disk must not have ciphertext and keys."""

    code: ClassVar[str] = "backup_one_filesystem"
    reason = Reason.CONFLICT
    message = "Both places are on one filesystem. Choose two, or say that it is meant (--one-filesystem-is-meant)."


class BackupInside(_Said):
    """A place inside our own folders, or one place inside the other."""

    code: ClassVar[str] = "backup_inside"
    reason = Reason.CONFLICT
    message = "A backup may not lie in the server's own folders, nor one of its two places in the other."


class BackupBusy(_Said):
    """One backup at a time."""

    code: ClassVar[str] = "backup_busy"
    reason = Reason.CONFLICT
    message = "Another backup is being made there. Please try again when it has ended."


class BackupPlaceFull(_Said):
    """No room (ENOSPC, EDQUOT)."""

    code: ClassVar[str] = "backup_place_full"
    reason = Reason.UNAVAILABLE
    message = "There is no room left where the backup goes. What was begun is no backup; older ones are untouched."


class BackupPlaceFailed(_Said):
    """The place is gone or does not read or write."""

    code: ClassVar[str] = "backup_place_failed"
    reason = Reason.UNAVAILABLE
    message = "The place of backups cannot be read or written."


class BackupTampered(_Said):
    """Something is not what the signed manifest says, or is missing."""

    code: ClassVar[str] = "backup_tampered"
    reason = Reason.INVALID
    message = "The backup is not what was made: something in it is missing or was changed."


class BackupMissing(_Said):
    """No whole backup there, or none of that name."""

    code: ClassVar[str] = "backup_missing"
    reason = Reason.NOT_FOUND
    message = "There is no whole backup there."


class BackupNewer(_Said):
    """Made by a version whose format or schema we do not know."""

    code: ClassVar[str] = "backup_newer"
    reason = Reason.CONFLICT
    message = "This backup was made by a newer version. Install that version, then restore."


class BackupTooOld(_Said):
    """Final certificates count on such a copy of keys not being used any more."""

    code: ClassVar[str] = "backup_too_old"
    reason = Reason.CONFLICT
    message = (
        "This backup of keys is older than recording.backup_days; certificates of deletion count on it being gone. "
        "If nothing else is left, say --over-age-is-meant; it is entered in the log."
    )


class IdentityWrong(_Said):
    """None of the identities opens it."""

    code: ClassVar[str] = "backup_identity_wrong"
    reason = Reason.FORBIDDEN
    message = "The identity file does not open this backup."


class RestoreNotEmpty(_Said):
    """Something is where the restored server is to stand."""

    code: ClassVar[str] = "restore_not_empty"
    reason = Reason.CONFLICT
    message = "A restore goes into empty places only. This one holds something:"


class RootKeyMissing(_Said):
    """The root key is in no backup."""

    code: ClassVar[str] = "root_key_missing"
    reason = Reason.CONFLICT
    message = "The root key is in no backup. Put your copy of it to places.root_key first (mode 600)."
