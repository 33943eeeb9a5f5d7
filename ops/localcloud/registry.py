"""SageMaker's Model Registry: groups of model packages, their versions and whether these are approved."""

import copy
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from ops.localcloud.errors import ServiceError
from ops.localcloud.paging import page

__all__ = ["ModelRegistry", "Publish"]

# Of CreateModelPackage and UpdateModelPackage: what would need a model to be run, or a marketplace.
_NOT_LOCAL: Final = (
    "AdditionalInferenceSpecifications",
    "AdditionalInferenceSpecificationsToAdd",
    "CertifyForMarketplace",
    "ModelPackageName",
    "ModelPackageRegistrationType",
    "SourceAlgorithmSpecification",
    "ValidationSpecification",
)
_SUMMARY: Final = (
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "ModelPackageStatus",
    "ModelApprovalStatus",
)
# Of a group or a package; kept for none here, but required of every answer.
_NOBODY: Final[Mapping[str, Any]] = {}


class Publish(Protocol):
    """Puts an event of an AWS service on the default bus."""

    def __call__(
        self, source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str], /
    ) -> None: ...


class ModelRegistry:
    """The model package groups of one server.

    Parameters
    ----------
    arn
        First part of every ARN, as ``arn:aws:sagemaker:<region>:<account>``.
    clock
        Seconds since the epoch.
    publish
        Takes the events of a changed package.
    """

    def __init__(self, arn: str, *, clock: Callable[[], float], publish: Publish) -> None:
        self._arn, self._clock, self._publish = arn, clock, publish
        self._lock = threading.RLock()
        self._groups: dict[str, dict[str, Any]] = {}
        self._packages: dict[str, dict[str, Any]] = {}

    def operations(self) -> dict[str, Callable[[dict[str, Any]], Mapping[str, Any]]]:
        """Every operation by its name; each takes a validated request."""
        return {
            "CreateModelPackageGroup": self._create_group,
            "DescribeModelPackageGroup": lambda request: self._group(request["ModelPackageGroupName"]),
            "ListModelPackageGroups": self._list_groups,
            "DeleteModelPackageGroup": self._delete_group,
            "CreateModelPackage": self._create_package,
            "DescribeModelPackage": lambda request: self._package(request["ModelPackageName"]),
            "ListModelPackages": self._list_packages,
            "UpdateModelPackage": self._update_package,
            "DeleteModelPackage": self._delete_package,
        }

    def knows(self, arn: str) -> bool:
        """Whether `arn` is that of a group or of a package."""
        return arn in self._packages or any(
            group["ModelPackageGroupArn"] == arn for group in self._groups.values()
        )

    # -- groups -----------------------------------------------------------------------------------

    def _create_group(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["ModelPackageGroupName"]
        with self._lock:
            if name in self._groups:
                raise ServiceError("ValidationException", f"Model Package Group already exists: {name}")
            self._groups[name] = {
                "ModelPackageGroupName": name,
                "ModelPackageGroupArn": f"{self._arn}:model-package-group/{name}",
                "ModelPackageGroupDescription": request.get("ModelPackageGroupDescription"),
                "CreationTime": self._clock(),
                "CreatedBy": _NOBODY,
                "ModelPackageGroupStatus": "Completed",
                "LastVersion": 0,
            }
            return self._groups[name]

    def _group(self, name: str) -> dict[str, Any]:
        found = self._groups.get(name.rpartition("/")[2])
        if found is None or name not in {found["ModelPackageGroupName"], found["ModelPackageGroupArn"]}:
            raise ServiceError("ValidationException", f"Model Package Group {name} does not exist.")
        return found

    def _list_groups(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            groups = list(_matching(self._groups.values(), request, "ModelPackageGroupName"))
        key = {"Name": "ModelPackageGroupName"}.get(request.get("SortBy", "CreationTime"), "CreationTime")
        part, token = page(_sorted(groups, key, request), request)
        return {"ModelPackageGroupSummaryList": [_told(group) for group in part], **token}

    def _delete_group(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            name = self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
            left = sum(package["ModelPackageGroupName"] == name for package in self._packages.values())
            if left:
                raise ServiceError(
                    "ConflictException",
                    f"Model Package Group {name} still holds {left} versions",
                )
            del self._groups[name]
        return {}

    # -- packages ---------------------------------------------------------------------------------

    def _create_package(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse_unknown(request)
        if "ModelPackageGroupName" not in request:
            raise ServiceError(
                "ValidationException", "The local SageMaker keeps versions of a group: give ModelPackageGroupName"
            )
        if "Tags" in request:
            raise ServiceError("ValidationException", "A version has the tags of its group: leave out Tags")
        token = request.pop("ClientToken", None)
        with self._lock:
            group = self._group(request["ModelPackageGroupName"])
            for package in self._packages.values():
                if token and package["ClientToken"] == token:
                    if package["Request"] != request:
                        raise ServiceError(
                            "ConflictException", f"ClientToken {token} was used before for another package"
                        )
                    return package
            group["LastVersion"] += 1
            name, version = group["ModelPackageGroupName"], group["LastVersion"]
            arn = f"{self._arn}:model-package/{name}/{version}"
            package = {
                "ModelApprovalStatus": "PendingManualApproval",
                **copy.deepcopy(request),
                "ModelPackageGroupName": name,
                "ModelPackageVersion": version,
                "ModelPackageArn": arn,
                "CreationTime": self._clock(),
                "CreatedBy": _NOBODY,
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
                "ClientToken": token,
                "Request": request,
            }
            self._packages[arn] = package
        self._tell(package)
        return package

    def _package(self, name: str) -> dict[str, Any]:
        # By ARN; a name alone is that of a package without versions, and there is none of those here.
        found = self._packages.get(name) or self._packages.get(f"{self._arn}:model-package/{name}")
        if found is None:
            raise ServiceError("ValidationException", f"ModelPackage {name} does not exist.")
        # DescribeModelPackage requires the name, which for a version is that of its group.
        return {"ModelPackageName": found["ModelPackageGroupName"], **found}

    def _list_packages(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            packages = list(_matching(self._packages.values(), request, "ModelPackageGroupName"))
            group = request.get("ModelPackageGroupName")
            if group is None and request.get("ModelPackageType", "Unversioned") == "Unversioned":
                packages = []
            if group is not None:
                name = self._group(group)["ModelPackageGroupName"]
                packages = [package for package in packages if package["ModelPackageGroupName"] == name]
        if "ModelApprovalStatus" in request:
            wanted = request["ModelApprovalStatus"]
            packages = [package for package in packages if package["ModelApprovalStatus"] == wanted]
        # Versions of one instant, of which a test has many, keep their order.
        packages.sort(key=lambda package: package["ModelPackageVersion"])
        part, token = page(_sorted(packages, "CreationTime", request), request)
        summaries = [{name: item[name] for name in _SUMMARY if item.get(name) is not None} for item in part]
        return {"ModelPackageSummaryList": summaries, **token}

    def _update_package(self, request: dict[str, Any]) -> dict[str, Any]:
        _refuse_unknown(request)
        changes = {name: value for name, value in request.items() if value is not None}
        arn = changes.pop("ModelPackageArn")
        changes.pop("ClientToken", None)
        with self._lock:
            self._package(arn)
            package = self._packages[arn]
            before = package["ModelApprovalStatus"]
            properties = dict(package.get("CustomerMetadataProperties", {}))
            properties |= changes.pop("CustomerMetadataProperties", {})
            for name in changes.pop("CustomerMetadataPropertiesToRemove", []):
                properties.pop(name, None)
            package |= changes | {"LastModifiedTime": self._clock(), "LastModifiedBy": _NOBODY}
            package["CustomerMetadataProperties"] = properties
        if package["ModelApprovalStatus"] != before:
            self._tell(package)
        return package

    def _delete_package(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            found = self._package(request["ModelPackageName"])
            del self._packages[found["ModelPackageArn"]]
        return {}

    # -- around -----------------------------------------------------------------------------------

    def _tell(self, package: Mapping[str, Any]) -> None:
        detail = _told(package) | {"CertifyForMarketplace": False}
        for name in ("CreationTime", "LastModifiedTime"):
            if name in detail:
                moment = datetime.fromtimestamp(detail[name], UTC)
                detail[name] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._publish(
            "aws.sagemaker", "SageMaker Model Package State Change", detail, [package["ModelPackageArn"]]
        )


def _told(record: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a record: no empty fields, and nothing that is kept for ourselves."""
    ours = {"ClientToken", "Request", "LastVersion", "CreatedBy", "LastModifiedBy"}
    return {name: value for name, value in record.items() if name not in ours and value is not None}


def _matching(records: Any, request: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    for record in records:
        created = record["CreationTime"]
        named = request.get("NameContains", "").lower() in record[name].lower()
        if named and request.get("CreationTimeAfter", 0) <= created <= request.get("CreationTimeBefore", created):
            yield record


def _sorted(records: list[dict[str, Any]], key: str, request: Mapping[str, Any]) -> list[dict[str, Any]]:
    ordered = sorted(records, key=lambda record: record[key])
    return ordered[::-1] if request.get("SortOrder", "Ascending") == "Descending" else ordered


def _refuse_unknown(request: Mapping[str, Any]) -> None:
    for name in _NOT_LOCAL:
        if request.get(name):
            raise ServiceError("ValidationException", f"The local SageMaker has no {name}: leave it out")
