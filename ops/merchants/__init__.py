"""Merchants: onboarding, keys and their rotation, usage plans."""

from ops.merchants.errors import MerchantError, MerchantIdError
from ops.merchants.lifecycle import NewKey, add, as_merchant, disable, enable, join, merchant_of, move, rotate

__all__ = [
    "MerchantError",
    "MerchantIdError",
    "NewKey",
    "add",
    "as_merchant",
    "disable",
    "enable",
    "join",
    "merchant_of",
    "move",
    "rotate",
]
