"""What can be wrong with a command about a merchant; each message ends with the remedy."""

__all__ = ["MerchantError", "MerchantIdError"]


class MerchantError(Exception):
    """A command that was refused; nothing was changed."""


class MerchantIdError(MerchantError):
    """A name that no merchant can have."""
