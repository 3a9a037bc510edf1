"""The situations in which identity refuses. None says whether a name, a link or a code exists."""

from telehealth.errors import Reason, Refusal


class Unauthenticated(Refusal):
    code = "unauthenticated"
    reason = Reason.UNAUTHENTICATED
    message = "Please sign in."


class SignInRefused(Refusal):
    """Wrong name, wrong password, wrong or used code, disabled account: all the same."""

    code = "sign_in_refused"
    reason = Reason.UNAUTHENTICATED
    message = "The name, the password or the code is not right."


class StepUpNeeded(Refusal):
    """A grave act, and the last proof of two factors is too old."""

    code = "step_up_needed"
    reason = Reason.FORBIDDEN
    message = "Please confirm that it is you."


class PasskeysOff(Refusal):
    """WebAuthn needs a name, not an address, and a page that came by it."""

    code = "passkeys_off"
    reason = Reason.CONFLICT
    message = "Passkeys work only where this server is reached by its name."


class PasskeyRefused(Refusal):
    """Unknown, suspended, of somebody disabled, signed wrongly, for another site: all the same."""

    code = "passkey_refused"
    reason = Reason.UNAUTHENTICATED
    message = "This passkey is not accepted."


class PasskeyCloned(Refusal):
    """The authenticator's counter went back: there may be two of it."""

    code = "passkey_cloned"
    reason = Reason.UNAUTHENTICATED
    message = "This passkey may have been copied and is switched off. Please sign in with your password."


class PasskeyInvalid(Refusal):
    """What the authenticator made for a new passkey does not hold."""

    code = "passkey_invalid"
    reason = Reason.INVALID
    message = "The new passkey could not be read."


class PasskeyKnown(Refusal):
    code = "passkey_known"
    reason = Reason.CONFLICT
    message = "This passkey is already there."


class TooManyPasskeys(Refusal):
    code = "too_many_passkeys"
    reason = Reason.CONFLICT
    message = "There are too many passkeys. Please remove one first."


class ChallengeOver(Refusal):
    """Not ours, used, of another act or too old: all the same."""

    code = "challenge_over"
    reason = Reason.GONE
    message = "That took too long. Please try again."


class ProofNeeded(Refusal):
    """The session belongs to a key, and what asks has not proved that it holds it."""

    code = "proof_needed"
    reason = Reason.FORBIDDEN
    message = "Please sign in again in this browser."


class SecondAdminNeeded(Refusal):
    """Who asked for an admin's reset, or is to be reset, cannot approve it."""

    code = "second_admin_needed"
    reason = Reason.FORBIDDEN
    message = "Another admin has to approve this."


class ApproverTooNew(SecondAdminNeeded):
    """An account made for the approval, perhaps by the one who asked; in a clinic's first day, every account."""

    code = "approver_too_new"
    message = (
        "Only an admin whose account is a day older than the request can approve it. "
        "Until then: telehealth user reset, on the server itself."
    )


class SlowDown(Refusal):
    code = "slow_down"
    reason = Reason.TOO_MANY
    message = "Too many tries. Please wait a moment."


class InvitationOver(Refusal):
    code = "invitation_over"
    reason = Reason.GONE
    message = "This set-up link is not valid, or no longer. Please ask for a new one."


class PasswordWeak(Refusal):
    code = "password_weak"
    reason = Reason.INVALID
    message = "Please choose a longer password that is harder to guess: at least 12 characters."


class EnrolmentCodeWrong(Refusal):
    code = "code_wrong"
    reason = Reason.INVALID
    message = "The code does not match. Please check the clock of your device and try the next code."


class LoginTaken(Refusal):
    code = "login_taken"
    reason = Reason.CONFLICT
    message = "This sign-in name is taken."


class LastAdmin(Refusal):
    """The change would leave nobody who can manage the server."""

    code = "last_admin"
    reason = Reason.CONFLICT
    message = "There must be at least one active admin."


class LinkUnknown(Refusal):
    """Never issued, expired, revoked, used up: all the same."""

    code = "link_unknown"
    reason = Reason.NOT_FOUND
    message = "This link is not valid, or no longer. Please ask the clinic for a new one."


class TooEarly(Refusal):
    code = "too_early"
    reason = Reason.CONFLICT
    message = "The visit is not open yet."


class VisitOver(Refusal):
    code = "visit_over"
    reason = Reason.GONE
    message = "This visit is over."


class ChannelNotAllowed(Refusal):
    """The visit's assurance, or this server's set-up, does not allow codes by this channel."""

    code = "channel_not_allowed"
    reason = Reason.CONFLICT
    message = "Codes cannot be given by this channel for this visit."


class ContactUnfit(Refusal):
    """The channel needs a telephone number or an e-mail address that the visit lacks."""

    code = "contact_unfit"
    reason = Reason.CONFLICT
    message = "The patient's contact does not fit this channel."


class PasscodeWeak(Refusal):
    code = "passcode_weak"
    reason = Reason.INVALID
    message = "Please choose a passcode of at least 8 characters that is hard to guess."


class CodeNotMintedHere(Refusal):
    code = "code_not_minted_here"
    reason = Reason.CONFLICT
    message = "This visit uses a passcode that the clinic has told you."


class CodeWrong(Refusal):
    code = "code_wrong"
    reason = Reason.FORBIDDEN
    message = "The code is not right."

    def __init__(self, tries_left: int) -> None:
        super().__init__()
        self.tries_left = tries_left


class CodeExpired(Refusal):
    """No code was asked for, or it is over, used or replaced."""

    code = "code_expired"
    reason = Reason.FORBIDDEN
    message = "There is no valid code. Please ask for a new one."


class TriesUsedUp(Refusal):
    code = "tries_used_up"
    reason = Reason.TOO_MANY
    message = "The tries for this link are used up. Please call the clinic."


class OutsideArea(Refusal):
    """From where the clinic lets nobody join; the same for every link, known or not."""

    code = "outside_area"
    reason = Reason.FORBIDDEN
    message = "The clinic's visits cannot be joined from this network or country. Please call the clinic."
