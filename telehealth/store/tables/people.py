"""Staff: who they are, what they prove it with, what they hold."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, false

from telehealth.store.tables.columns import ID, metadata, time

users = Table(
    "users",
    metadata,
    Column("id", ID, primary_key=True),
    Column("role", String(16), nullable=False),  # admin | clinician | auditor | front_desk
    Column("login_lookup", LargeBinary(32), nullable=False, unique=True),  # keyed hash of the sign-in name
    Column("login_sealed", LargeBinary, nullable=False),
    Column("name_sealed", LargeBinary, nullable=False),
    Column("password_hash", String(200)),  # argon2id; null until enrolled
    Column("totp_sealed", LargeBinary),  # null until enrolled
    Column("totp_last_step", BigInteger),  # the last step used; replay is refused
    Column("recovery_hashes", JSON, nullable=False),  # SHA-256 hex of unused recovery codes
    Column("disabled", Boolean, nullable=False, default=False),
    time("created_at", required=True),
    time("admin_since"),  # an admin who can sign in without a break since then; null: since created, or not
    time("admin_until"),  # was one until then
)

invitations = Table(  # set-up links: first admin, new user, reset
    "invitations",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("user_id", ID, ForeignKey("users.id")),  # null: whoever opens it becomes the first admin
    Column("purpose", String(16), nullable=False),  # first_admin | enrol | reset
    time("created_at", required=True),
    time("expires_at", required=True),
    time("used_at"),
)

sessions = Table(  # staff; the cookie holds the token, we its hash
    "sessions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False),
    time("created_at", required=True),
    time("seen_at", required=True),
    time("expires_at", required=True),  # absolute
    time("ended_at"),
    time("mfa_at", required=True),  # when the person last proved two factors here
    Column("factor", String(16), nullable=False),  # totp | recovery_code | passkey | demo | sso | sso_code
    Column("sso_sid", LargeBinary(32), index=True),  # keyed hash of the provider's own session
    Column("passkey_id", ID),  # what the session was begun with
    Column("device_sealed", LargeBinary),  # the browser's own description
    Column("public_key", JSON(none_as_null=True)),  # JWK of the browser's ECDSA P-256 key; null: none was given
    Column("known", Boolean, nullable=False, default=False, server_default=false()),  # on a device known to be theirs
    Index(None, "user_id"),
)

passkeys = Table(  # WebAuthn credentials of staff
    "passkeys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False),
    Column("credential_id", LargeBinary(1023), nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),  # COSE
    Column("sign_count", BigInteger, nullable=False),
    Column("transports", JSON, nullable=False),
    Column("backed_up", Boolean, nullable=False),  # kept by a password manager, not by one device alone
    Column("label", String(80), nullable=False),
    time("created_at", required=True),
    time("used_at"),
    time("suspended_at"),  # lost, or its counter went back
    Index(None, "user_id"),
)

resets = Table(  # an admin's factors are made void by two other admins: one asks, one approves
    "resets",
    metadata,
    Column("id", ID, primary_key=True),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False),
    Column("asked_by", ID, nullable=False),
    time("asked_at", required=True),
    time("expires_at", required=True),
    Column("decided_by", ID),
    time("decided_at"),
    Index(None, "user_id"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", ID, primary_key=True),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False),
    Column("label", String(80), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("networks", JSON, nullable=False),  # in CIDR notation; empty: from anywhere
    Column("successor", ID),  # the token that replaces it
    time("created_at", required=True),
    time("expires_at", required=True),
    time("used_at"),
    time("revoked_at"),
)

# One row per subject that is counted (account, address, visit and day): budgets that survive a restart.
attempts = Table(
    "attempts",
    metadata,
    Column("subject", LargeBinary(32), primary_key=True),  # keyed hash
    Column("failures", Integer, nullable=False),
    time("until"),
    time("changed_at", required=True),
)
