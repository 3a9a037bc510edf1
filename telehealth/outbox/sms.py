"""SMS by an HTTP gateway: `POST url` with `{"to": "+4369912345678", "text": "…"}`, `Authorization: Bearer TOKEN`.

Any 2xx means taken over. 408, 425, 429 and 5xx are tried again; other answers are final.
"""

import aiohttp

from telehealth.outbox.failure import DeliveryFailed
from telehealth.outbox.messages import Message
from telehealth.secret import Secret

TIMEOUT_SECONDS = 20.0
_TRY_AGAIN = frozenset({408, 425, 429})


class SmsGateway:
    """Follows no redirects, so that the token goes nowhere else."""

    def __init__(self, url: str, token: Secret[str] | None) -> None:
        self._url = url
        self._token = token

    async def send(self, to: str, message: Message) -> None:
        """`to` in E.164. Raises DeliveryFailed: `gateway_refused`, `gateway_failed`, `timeout`, `unreachable`."""
        headers = {"Authorization": f"Bearer {self._token.reveal()}"} if self._token else {}
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        body = {"to": to, "text": message.text}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
                session.post(self._url, json=body, allow_redirects=False) as answer,
            ):
                status = answer.status
        except TimeoutError as error:
            raise DeliveryFailed("timeout", final=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise DeliveryFailed("unreachable", final=False) from error
        if 200 <= status < 300:
            return
        if status >= 500 or status in _TRY_AGAIN:
            raise DeliveryFailed("gateway_failed", final=False)
        raise DeliveryFailed("gateway_refused", final=True)
