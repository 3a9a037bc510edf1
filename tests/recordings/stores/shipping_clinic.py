"""The house of recordings with a store behind its disk, and a plug on everything that lasts."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recordings_house import House
from shelves import QUICK, SMALL_PART, bucket_at
from unplugged import Plug

from recordings.catalogue import Catalogue
from recordings.reconcile import Reconciler
from recordings.service import RecordingService
from recordings.upload import Uploader
from recordings.vault.s3 import S3Shelf
from recordings.vault.s3client import Bucket, Patience
from recordings.vault.shipping import ShippingVault
from tests.partners.ceph import Ceph
from tests.partners.moto import Moto

__all__ = ["Clinic", "bucket_at"]
_LASTING = {
    "placed",
    "put_object",
    "upload_part",
    "create_multipart_upload",
    "complete_multipart_upload",
    "abort_multipart_upload",
    "delete_object",
    "delete",
}


class Unplugged:
    """A part whose lasting acts are counted, and fail from the n-th on."""

    def __init__(self, part: Any, plug: Plug) -> None:
        self._part, self._plug = part, plug

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)
        if name not in _LASTING:
            return real

        async def act(*args: Any, **kwargs: Any) -> Any:
            self._plug.before(name)
            answer = await real(*args, **kwargs)
            self._plug.afterwards()
            return answer

        return act


class UnpluggedClient:
    """The S3 client on the plug."""

    def __init__(self, client: Any, plug: Plug) -> None:
        self._client, self._plug = client, plug

    async def made(self) -> Any:
        return Unplugged(await self._client.made(), self._plug)

    async def close(self) -> None:
        await self._client.close()


@dataclass
class Clinic(House):
    """`service` plays and deletes by the shipping vault; `uploader` is asked for its rounds by the test."""

    partner: Ceph | Moto | None = None
    bucket: Bucket | None = None
    patience: Patience = QUICK
    plug: Plug = field(default_factory=Plug)

    def __init__(self, folder: Path, partner: Ceph | Moto, bucket: Bucket) -> None:
        super().__init__(folder, alone=True)
        self.partner, self.bucket, self.patience, self.plug = partner, bucket, QUICK, Plug()

    def make(self) -> RecordingService:
        assert self.bucket is not None
        if not isinstance(self.vault, ShippingVault):
            self.remote = S3Shelf(self.bucket, self.patience, SMALL_PART)
            self.remote._client = UnpluggedClient(self.remote._client, self.plug)  # type: ignore[assignment]
            local: Any = Unplugged(self.vault, self.plug)
            self.vault = ShippingVault(local, self.remote, Catalogue(self.store).never_sealed)  # type: ignore[assignment]
        self.shipping: ShippingVault = self.vault  # type: ignore[assignment]
        self.new_uploader()
        return super().make()

    def new_uploader(self) -> None:
        """As after a restart: nothing is remembered but what is durable."""
        catalogue: Any = Unplugged(Catalogue(self.store), self.plug)
        self.uploader = Uploader(catalogue, self.shipping, self.clock)
        self.reconciler = Reconciler(Catalogue(self.store), self.keys, self.log, self.shipping)

    async def whole(self, recording: str) -> bool:
        """Whether every sealed byte of it verifies, wherever it is."""
        return not (await self.service.verify(self.admin, recording)).damaged

    async def places(self, recording: str) -> set[str]:
        return {file.place for file in await self.service.catalogue.files_of(recording)}
