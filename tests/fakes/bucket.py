"""A real S3 server on loopback with one empty bucket, `farm`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "not-to-be-shown"


@contextmanager
def bucket() -> Iterator[dict[str, str]]:
    """Environment that leads to it."""
    import boto3  # type: ignore[import-untyped]
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    env = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }
    client = boto3.client(
        "s3",
        endpoint_url=env["AWS_ENDPOINT_URL"],
        aws_access_key_id="tester",
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    try:
        client.create_bucket(Bucket="farm")
        yield env
    finally:
        client.close()
        server.stop()
