"""Merchants: onboarding, keys and their rotation, usage plans."""

from ops.merchants.errors import MerchantError, MerchantIdError
from ops.merchants.lifecycle import Change, NewKey, add, as_merchant, disable, enable, merchant_of, move, rotate

__all__ = [
    "Change",
    "MerchantError",
    "MerchantIdError",
    "NewKey",
    "add",
    "as_merchant",
    "disable",
    "enable",
    "merchant_of",
    "move",
    "rotate",
]
