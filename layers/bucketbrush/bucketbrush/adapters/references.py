"""Links by which the provider reads our pictures.

A presigned link dies with the credentials that signed it, whatever its own expiry says (AWS Knowledge Center,
"Presigned URL expiration"), so links are signed by a role of their own whose session end is known.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bucketbrush.domain.addresses import MAX_LINK_BYTES
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.jobs import ObjectVersion

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sts.client import STSClient
    from mypy_boto3_sts.type_defs import CredentialsTypeDef

SESSION_SECONDS = 3600  # what role chaining caps a session at (IAM User Guide, "Roles terms and concepts")
LONGEST_LINK_SECONDS = 3300
SHORTEST_LINK_SECONDS = 900
MARGIN_SECONDS = 60


@dataclass(frozen=True)
class _Session:
    client: "S3Client"
    expires_at: float


class Presigner:
    """Makes links to pinned object versions; keeps its role session until it is too old to sign a useful link.

    ``connect`` builds an S3 client from the session's credentials; ``now`` is in seconds since 1970.
    """

    def __init__(
        self,
        sts: "STSClient",
        role_arn: str,
        connect: "Callable[[CredentialsTypeDef], S3Client]",
        now: Callable[[], float] = time.time,
    ) -> None:
        self._sts = sts
        self._role_arn = role_arn
        self._connect = connect
        self._now = now
        self._session: _Session | None = None

    def link(self, version: ObjectVersion) -> str:
        """A GET link to one object version that lives 14 to 55 minutes. It is a secret: never log or store it.

        Raises RecipeInvalid when the link would be longer than the provider takes.
        """
        session = self._fresh_session()
        left = int(session.expires_at - self._now()) - MARGIN_SECONDS
        pin = {"VersionId": version.version_id} if version.version_id else {}
        url = session.client.generate_presigned_url(
            "get_object",
            Params={"Bucket": version.bucket, "Key": version.key, **pin},
            ExpiresIn=min(LONGEST_LINK_SECONDS, left),
        )
        if len(url) > MAX_LINK_BYTES:
            raise RecipeInvalid(
                f"{version.uri}: found a signed link of {len(url):,} bytes; allowed: {MAX_LINK_BYTES:,}. "
                "Give the file and its folders a shorter name; letters outside ASCII count up to ninefold."
            )
        return url

    def _fresh_session(self) -> _Session:
        if self._session is None or self._session.expires_at - self._now() < SHORTEST_LINK_SECONDS:
            answer = self._sts.assume_role(
                RoleArn=self._role_arn, RoleSessionName="bucketbrush-references", DurationSeconds=SESSION_SECONDS
            )
            credentials = answer["Credentials"]
            self._session = _Session(self._connect(credentials), credentials["Expiration"].timestamp())
        return self._session
