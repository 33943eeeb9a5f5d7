"""The audit trail, read: listed, shown, exported, and held against its locked copies."""
