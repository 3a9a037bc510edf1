"""One PKCS#11 token seen from one thread: session, handles, objects. Everything here blocks.

The object PREFIX + "presence" is there as long as the token is. Where it is missing, a key that is not found proves
nothing: a token that was pulled looks empty.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from telehealth.keys.provider import KeyDestroyed, KeyServiceUnavailable, UnwrapFailed
from telehealth.log import get_logger
from telehealth.secret import Secret

if TYPE_CHECKING:
    from pkcs11 import DecryptMixin, EncryptMixin, SecretKey, Session

    class AesKey(SecretKey, EncryptMixin, DecryptMixin):
        """What the binding makes of an AES object."""


log = get_logger(__name__)
PRESENCE = "presence"
TAG = 16  # bytes
_HANDLES = 512  # object handles kept, so that a wrap needs no search through the token


class _Library:
    """PKCS#11 is one state machine for the whole process: one call at a time, and each initialisation voids handles."""

    turn = threading.Lock()
    initialised = 0


class Token:
    """AES-256 keys whose label and id are PREFIX + name; all calls stand inside `in_turn()`."""

    def __init__(self, module: Path, label: str, prefix: str, pin: Secret[str]) -> None:
        self._module = module
        self._label = label
        self._prefix = prefix
        self._pin: Secret[str] | None = pin
        self._session: Session | None = None
        self._handles: dict[str, AesKey] = {}
        self._since = 0  # the library's initialisation that session and handles belong to
        self._anew = False  # something failed: initialise the library again before the next call

    @property
    def pin_refused(self) -> bool:
        """Whether the PIN was refused; it is not tried again, for that could lock the token."""
        return self._pin is None

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Every fault of the token becomes KeyServiceUnavailable, and the next call begins with a new session."""
        from pkcs11 import exceptions as faults

        with _Library.turn:
            if self._since != _Library.initialised:
                self._lose()
            try:
                yield
            except (faults.PKCS11Error, RuntimeError, OSError) as error:
                self._lose(anew=True)
                if isinstance(error, (faults.PinIncorrect, faults.PinLocked, faults.PinExpired)):
                    self._pin = None
                log.error("keys.service_unreachable", kind="pkcs11", exception_type=type(error).__name__)
                raise KeyServiceUnavailable from error

    def leave(self) -> None:
        """Close the session."""
        session = self._session
        self._lose()
        if session is not None:
            session.close()

    def require_presence(self) -> None:
        """Raises KeyServiceUnavailable when the token is not there, or is another one."""
        if not self._objects(PRESENCE):
            self._lose(anew=True)
            raise KeyServiceUnavailable

    def mark_presence(self) -> None:
        """Put the presence key into a token that has none."""
        if not self._objects(PRESENCE):
            self.make(PRESENCE)

    def has(self, key_name: str) -> bool:
        """Looked up in the token itself. Raises KeyServiceUnavailable when the token is not there."""
        return self._search(key_name) is not None

    def names(self) -> frozenset[str]:
        """Our keys, without the presence key. Raises KeyServiceUnavailable when the token is not there."""
        labels = {key.label for key in self._objects(None)}
        names = {label.removeprefix(self._prefix) for label in labels if label.startswith(self._prefix)}
        if PRESENCE not in names:
            self.require_presence()
        return frozenset(names - {PRESENCE})

    def make(self, key_name: str) -> None:
        from pkcs11 import Attribute, KeyType

        label = self._prefix + key_name
        yes = (Attribute.TOKEN, Attribute.PRIVATE, Attribute.SENSITIVE, Attribute.ENCRYPT, Attribute.DECRYPT)
        no = (Attribute.EXTRACTABLE, Attribute.WRAP, Attribute.UNWRAP, Attribute.SIGN, Attribute.VERIFY)
        template = {**dict.fromkeys(yes, True), **dict.fromkeys((*no, Attribute.DERIVE), False)}
        made = self._opened().generate_key(
            KeyType.AES, 256, label=label, id=label.encode(), store=True, template=template
        )
        self._handles[key_name] = cast("AesKey", made)

    def destroy(self, key_name: str) -> None:
        """Every object of that label; proved by a search after it."""
        self._handles.pop(key_name, None)
        for key in self._objects(key_name):
            key.destroy()
        if self.has(key_name):
            raise KeyServiceUnavailable

    def encrypt(self, key_name: str, nonce: bytes, plaintext: bytes, bound: bytes) -> bytes:
        """Raises KeyDestroyed."""
        from pkcs11 import GCMParams, Mechanism

        parameters = GCMParams(nonce, bound, TAG * 8)
        sealed = self._find(key_name).encrypt(plaintext, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
        return cast("bytes", sealed)

    def decrypt(self, key_name: str, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
        """Raises KeyDestroyed, UnwrapFailed. SoftHSM says CKR_GENERAL_ERROR of a wrong tag."""
        from pkcs11 import GCMParams, Mechanism
        from pkcs11 import exceptions as faults

        key, parameters = self._find(key_name), GCMParams(nonce, bound, TAG * 8)
        try:
            return cast("bytes", key.decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=parameters))
        except (faults.EncryptedDataInvalid, faults.EncryptedDataLenRange) as error:
            raise UnwrapFailed from error
        except (faults.GeneralError, faults.FunctionFailed) as error:
            self.require_presence()
            raise (UnwrapFailed if self.has(key_name) else KeyDestroyed) from error

    def _lose(self, *, anew: bool = False) -> None:
        self._session, self._anew = None, anew
        self._handles.clear()

    def _opened(self) -> "Session":
        if self._session is None:
            import pkcs11

            if self._pin is None:
                raise KeyServiceUnavailable
            library = pkcs11.lib(str(self._module))
            if self._anew:
                library.reinitialize()
                _Library.initialised += 1
            self._since = _Library.initialised
            found = library.get_token(token_label=self._label)
            try:
                self._session = found.open(rw=True, user_pin=self._pin.reveal())
            except pkcs11.UserAlreadyLoggedIn:  # by another session of this process
                self._session = found.open(rw=True)
            self._anew = False
        return self._session

    def _objects(self, key_name: str | None) -> "list[AesKey]":
        from pkcs11 import Attribute, ObjectClass

        wanted: dict[Attribute, Any] = {Attribute.CLASS: ObjectClass.SECRET_KEY}
        if key_name is not None:
            wanted[Attribute.LABEL] = self._prefix + key_name
        return cast("list[AesKey]", list(self._opened().get_objects(wanted)))

    def _find(self, key_name: str) -> "AesKey":
        """By the handle known from before, which a pulled token refuses at its use, or by a search."""
        found = self._handles.get(key_name) or self._search(key_name)
        if found is None:
            raise KeyDestroyed
        return found

    def _search(self, key_name: str) -> "AesKey | None":
        found = self._objects(key_name)
        if not found:
            self.require_presence()
            return None
        if len(self._handles) >= _HANDLES:
            self._handles.clear()
        self._handles[key_name] = found[0]
        return found[0]
