"""The situations in which single sign-on refuses; none says more to a stranger than that it did not work."""

from telehealth.errors import Reason, Refusal


class SsoOff(Refusal):
    code = "sso_off"
    reason = Reason.CONFLICT
    message = "Single sign-on is not set up here."


class SsoUnavailable(Refusal):
    """The provider does not answer, answers too late, or with something that is no answer."""

    code = "sso_unavailable"
    reason = Reason.UNAVAILABLE
    message = "The sign-in service cannot be reached. Please sign in with your password or a passkey."


class SsoRefused(Refusal):
    """What the provider, or somebody in its name, told us does not hold: all lies alike; `why` is for the log."""

    code = "sso_refused"
    reason = Reason.UNAUTHENTICATED
    message = "Single sign-on did not work. Please try again."

    def __init__(self, why: str = "wrong") -> None:
        super().__init__()
        self.why = why


class SsoUnknown(Refusal):
    """The provider knows them; here nobody is tied to them, they have no role, or are disabled."""

    code = "sso_unknown"
    reason = Reason.FORBIDDEN
    message = "Your account has no access here. Please ask an administrator."


class SsoFactorMissing(Refusal):
    """The provider proved one factor, and there is no second one here."""

    code = "sso_factor_missing"
    reason = Reason.FORBIDDEN
    message = "A second factor is needed. Please ask an administrator for a set-up link."


class SsoTaken(Refusal):
    """The identity belongs to another account, or the account has one already, or the sign-in name is another's."""

    code = "sso_taken"
    reason = Reason.CONFLICT
    message = "This is tied to another account. Please ask an administrator."


class LogoutRefused(Refusal):
    """OpenID Connect Back-Channel Logout 1.0 §2.8: the token is not one of the provider's for us."""

    code = "logout_refused"
    reason = Reason.INVALID
    message = "The logout token is not accepted."
