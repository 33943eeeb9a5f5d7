"""Errors of the local cloud, each worded so that its reader knows what to do next."""


class LocalCloudError(Exception):
    """The local cloud could not do what was asked; the message says why and what to do."""


class SeamError(LocalCloudError):
    """The installed emulator is not the one the seam was written for."""


class ServiceError(Exception):
    """An error answer of the local SageMaker, in the words of the AWS API.

    Parameters
    ----------
    code
        The API's error code, such as ``ValidationException`` or ``ResourceInUse``.
    message
        What the caller reads.
    status
        HTTP status code.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class JobFailedError(Exception):
    """A job cannot go on; the message is what ``FailureReason`` will say."""
