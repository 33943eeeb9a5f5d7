"""The token key is changed in the local cloud as on AWS: on a secret made for it, so that payments keep theirs."""

import secrets
import uuid
from dataclasses import replace

import pytest

from fraud.puncturable import PuncturableKey
from ops.deployment import Deployment
from ops.tokens import RotationError, Secret, retire, rotate, shortest_overlap

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

NOW = 1_767_261_600_000


def test_a_key_is_changed_and_the_one_before_is_gone_at_the_end(deployment: Deployment) -> None:
    own = Secret.of(deployment)
    assert own.read()[0].before == ""
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    made = own.client.create_secret(Name=f"tokens-{uuid.uuid4()}", SecretString=old)["ARN"]
    bucket = f"tokens-{uuid.uuid4()}"
    place = {"LocationConstraint": own.objects.meta.region_name}
    own.objects.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    own.objects.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    secret = replace(own, secret_id=made, bucket=bucket)
    ring = rotate(secret, new, clock=NOW, lead=4.0, overlap=shortest_overlap())
    assert secret.read()[0] == ring
    with pytest.raises(RotationError):
        retire(secret, clock=ring.until - 1)
    left = retire(secret, clock=ring.until)
    assert secret.read()[0] == left
    assert dict(secret.tokeniser(left).keys) == {"2": PuncturableKey.of(new)}
    before = secret.client.get_secret_value(SecretId=made, VersionStage="AWSPREVIOUS")
    assert old not in before["SecretString"]
    assert secret.within_reach() == []
