"""What can be asked of a running engine, knowing nothing but its address."""

from __future__ import annotations

import ssl
from typing import Any

import boto3
import httpx
from botocore.config import Config

REGION = "us-east-1"
# With IAM enforced, "test" is the root user.
_CREDENTIALS = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test")


class Endpoint:
    """A running engine."""

    def __init__(self, url: str) -> None:
        self.endpoint = url
        self._clients: dict[tuple[str, str], Any] = {}

    def environ(self) -> dict[str, str]:
        """The variables that point the AWS CLI, the SAM CLI and every SDK at this engine."""
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION, **_CREDENTIALS}

    def session(self) -> boto3.Session:
        """A session with the engine's credentials and region; `client` also knows the address."""
        return boto3.Session(
            aws_access_key_id=_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=REGION,
        )

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of this engine, which goes past whatever proxy the machine is set to.

        One without options is made once: making a client takes longer than most calls.
        """
        if options:
            return self._connect(service, **options)
        key = (self.endpoint, service)
        if key not in self._clients:
            self._clients[key] = self._connect(service)
        return self._clients[key]

    def _connect(self, service: str, **options: Any) -> Any:
        config = options.pop("config", Config()).merge(Config(proxies={}))
        return self.session().client(service, endpoint_url=self.endpoint, config=config, **options)  # type: ignore[call-overload]

    def healthy(self) -> bool:
        """Whether the engine answers."""
        try:
            return self._request("GET", "health").is_success
        except httpx.TransportError:
            return False

    def reset(self) -> None:
        """Forget every resource, object and message, and end the function environments."""
        self._request("POST", "reset").raise_for_status()

    def set_wait_scale(self, scale: float) -> None:
        """From now on, multiply workflow waits, retry delays and time limits by this."""
        answer = self._request("POST", "config", {"stepfunctions._SFN_WAIT_SCALE": scale}).raise_for_status()
        if not answer.json()["applied"]:
            raise ValueError(f"wait scale {scale} is not a number of zero or more")

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        # Proxy settings of the machine must not lead a loopback address astray.
        # Without an empty trust store each client reads all certificates of the machine, to speak plain HTTP.
        trust_nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with httpx.Client(trust_env=False, verify=trust_nobody, timeout=30) as http:
            return http.request(method, f"{self.endpoint}/_ministack/{path}", json=body)
