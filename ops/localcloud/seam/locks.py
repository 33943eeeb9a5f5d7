"""S3: buckets that a template makes with Object Lock lock what is written to them, as on AWS.

The emulator knows locks, and refuses to delete what is under one; its CloudFormation leaves them out.
"""

from typing import Any, Final

from ops.localcloud.seam.emulator import Function, Registry, provisioners, s3

__all__ = ["FUNCTIONS", "REGISTRIES", "install_locks"]

FUNCTIONS: Final[tuple[Function, ...]] = ((provisioners, "_s3_create", ("logical_id", "props", "stack_name")),)
REGISTRIES: Final[tuple[Registry, ...]] = ((provisioners, "_RESOURCE_HANDLERS"),)


def install_locks() -> None:
    """Give a new bucket the lock that its template asks for."""
    create = provisioners._s3_create

    def create_locked(logical_id: str, props: Any, stack_name: str) -> Any:
        name, attributes = create(logical_id, props, stack_name)
        if props.get("ObjectLockEnabled"):
            rule = props.get("ObjectLockConfiguration", {}).get("Rule", {})
            retention = rule.get("DefaultRetention", {})
            s3._bucket_object_lock[name] = {
                "enabled": True,
                "default_retention": {
                    "Mode": retention["Mode"],
                    **{unit: int(retention[unit]) for unit in ("Days", "Years") if unit in retention},
                }
                if retention
                else None,
            }
        return name, attributes

    provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]["create"] = create_locked
