"""Rules: conditions that a merchant writes, checked when saved and evaluated with every decision.

What serving needs is here; `fraud.rules.check`, which brings the parser with it, is for those who save rules.
"""

from fraud.rules.documents import Rule, RuleError, Rules, StoredRule, StoredRules
from fraud.rules.rulebook import Rulebook, Verdict

__all__ = ["Rule", "RuleError", "Rulebook", "Rules", "StoredRule", "StoredRules", "Verdict"]
