"""What an administrator sets up in an account, once and first: who may deploy there, and what that may do."""

from infra.account.stack import AccountStack

__all__ = ["AccountStack"]
