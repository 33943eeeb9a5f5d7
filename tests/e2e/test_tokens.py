"""The token key is changed in the local cloud as on AWS: on a secret made for it, so that payments keep theirs."""

import secrets
import uuid

import pytest

from ops.deployment import Deployment
from ops.tokens import RotationError, Secret, retire, rotate, shortest_overlap

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

NOW = 1_767_261_600_000


def test_a_key_is_changed_and_the_one_before_is_gone_at_the_end(deployment: Deployment) -> None:
    client = deployment.client("secretsmanager")
    assert Secret(client, deployment["TokenSecret"]).read()[0].before == ""
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    secret = Secret(client, client.create_secret(Name=f"tokens-{uuid.uuid4()}", SecretString=old)["ARN"])
    ring = rotate(secret, new, clock=NOW, overlap=shortest_overlap())
    assert secret.read()[0] == ring
    with pytest.raises(RotationError):
        retire(secret, clock=ring.until - 1)
    assert retire(secret, clock=ring.until).keys == {"2": new}
    assert secret.read()[0].keys == {"2": new}
    before = client.get_secret_value(SecretId=secret.secret_id, VersionStage="AWSPREVIOUS")
    assert old not in before["SecretString"]
