"""A decision made once more, by the very functions that made it, and compared to the last bit."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from fraud.bundle import CorruptBundleError
from fraud.decision import event_of
from fraud.events import Transaction
from fraud.features import FeatureSet
from fraud.features.definitions import RowFeature
from fraud.passing import Draw, PassingBudget, PassThrough
from fraud.policy import Action, Allowance, Policy
from fraud.rules import Rulebook, StoredRules
from lambdas.score_transaction.judging import Judged, Scored, decision_on
from lambdas.score_transaction.settings import MerchantSettings
from ops.explaining.models import Check, Explanation, FeatureTold, Kept, RuleTold
from ops.explaining.settings import Counted
from runtime.booster import BoosterError
from runtime.bundles import BundleStore, ServedModel
from runtime.stores.releases import ReleaseStore
from runtime.stores.settings import SettingsStore

__all__ = ["Replayer"]

STATE = (
    "Windowed features are those that were recorded: the states they were computed from have moved on, and "
    "`paywarden parity` compares the two sides."
)
BOUND = "a bound on declines or reviews was reached, as that process counted it; the count is not kept"
LOST = "Whether it was drawn for and lost is not kept: only payments that were let through have a propensity."


@dataclass(frozen=True, slots=True)
class Replayer:
    """Makes decisions once more.

    Parameters
    ----------
    features : FeatureSet
        As this version of the code computes them.
    """

    features: FeatureSet
    bundles: BundleStore
    settings: SettingsStore
    releases: ReleaseStore

    def explain(self, row: Mapping[str, Any], answer: Mapping[str, Any] | None, source: str) -> Explanation:
        """Replay a decision.

        Parameters
        ----------
        row : mapping
            As `fraud.decision.decision_row` made it, in this version or an earlier one.
        answer : mapping or None
            What the merchant was told, where it is kept.
        source : str
            Where they were read.

        Raises
        ------
        msgspec.ValidationError
            If the row is no decision.
        """
        event, kept = event_of(row), msgspec.convert(row, Kept)
        return _Replay(self, event.transaction, kept, answer).told(source)


@dataclass(slots=True)
class _Replay:
    """One decision; what is found out is noted on the way."""

    by: Replayer
    transaction: Transaction
    kept: Kept
    answer: Mapping[str, Any] | None
    checks: list[Check] = field(default_factory=list)
    silent: list[str] = field(default_factory=lambda: [STATE])

    def told(self, source: str) -> Explanation:
        kept, transaction = self.kept, self.transaction
        counted = Counted(transaction.merchant_id, kept.recorded_at, self.by.settings, self.by.releases)
        self._row_level()
        champion, canary = self._served(counted)
        given, features = self._scored()
        policy, stored = self._documents(counted)
        judged = self._judged(counted, given, policy, stored) if policy is not None else None
        if judged is not None:
            self._compare(judged, given)
        return Explanation(
            merchant_id=transaction.merchant_id,
            transaction_id=transaction.transaction_id,
            source=source,
            transaction=msgspec.to_builtins(transaction),
            kept=kept,
            champion=champion,
            canary=canary,
            policy=policy,
            expected={
                str(action): cost
                for action, cost in policy.costs.expected(transaction.amount, given.score).items()
            }
            if policy is not None and policy.costs is not None and given.score is not None
            else {},
            features=features,
            rules=tuple(_rules(stored, judged)),
            checks=tuple(self.checks),
            not_replayed=tuple(self.silent),
        )

    def _check(self, name: str, stored: Any, replayed: Any, note: str = "") -> None:
        self.checks.append(
            Check(name=name, stored=stored, replayed=replayed, equal=_bits(stored) == _bits(replayed), note=note)
        )

    def _unknown(self, name: str, stored: Any, note: str) -> None:
        self.checks.append(Check(name=name, stored=stored, replayed=None, equal=None, note=note))

    def _row_level(self) -> None:
        """What follows from the payment alone is computed anew from the payment."""
        computed = self.by.features.vector(self.transaction, {})
        now = {
            each.name: value
            for each, value in zip(self.by.features.features, computed, strict=True)
            if isinstance(each, RowFeature)
        }
        same_set = self.kept.feature_set == self.by.features.version
        if not same_set:
            self.silent.append(
                "It was decided with another feature set than this version of the code has: features that are "
                "gone or new since are left out."
            )
        names = [name for name in now if same_set or name in self.kept.features]
        stored = {name: self.kept.features.get(name) for name in names}
        self._check(
            "features of the payment itself",
            stored,
            {name: None if now[name] != now[name] else now[name] for name in names},
        )

    def _served(self, counted: Counted) -> tuple[str, str]:
        found = counted.served()
        version, event_id = self.kept.model_version, self.transaction.event_id
        if not found:
            self._unknown("model that served", version, "the history of what served does not go back so far")
            return "", ""
        routed = [each.document.routed(event_id) or "" for each in found]
        # A process that has just begun, and cannot load the canary's bundle, decides by the champion or without.
        fallbacks = [version in (each.document.champion, "") for each in found]
        place = routed.index(version) if version in routed else fallbacks.index(True) if True in fallbacks else 0
        document = found[place].document
        note = ""
        if version not in routed and True in fallbacks:
            note = f"{routed[place] or 'no model'} would have; that process could not load it, or had no history"
        replayed = version if note else routed[place]
        self._check("model that served", version, replayed, note)
        return document.champion or "", document.canary.version if document.canary else ""

    def _scored(self) -> tuple[Scored, tuple[FeatureTold, ...]]:
        kept = self.kept
        shadow = {version: self._shadow(version, score) for version, score in kept.shadow.items()}
        if not kept.model_version:
            self._check("score", kept.score, None, "no model scored the payment")
            return Scored(shadow=shadow), ()
        model = self._model(kept.model_version)
        if isinstance(model, str):
            self._unknown("raw score", kept.raw_score, model)
            self._unknown("score", kept.score, model)
            return Scored(raw=kept.raw_score, score=kept.score, shadow=shadow), ()
        columns = self._columns(model)
        raw, score = model.score(columns)
        self._check("raw score", kept.raw_score, raw)
        self._check("score", kept.score, score)
        weights = model.contributions(columns)
        ranked = sorted(
            zip(model.manifest.features, columns, strict=True), key=lambda each: -abs(weights[each[0]])
        )
        told = tuple(
            FeatureTold(name=name, value=None if value != value else value, contribution=weights[name])
            for name, value in ranked
        )
        return Scored(model, raw, score, shadow, columns), told

    def _shadow(self, version: str, stored: float) -> float:
        model = self._model(version)
        if isinstance(model, str):
            self._unknown(f"shadow score of {version}", stored, model)
            return stored
        score = model.score(self._columns(model))[1]
        self._check(f"shadow score of {version}", stored, score)
        return score

    def _columns(self, model: ServedModel) -> list[float]:
        return [self.kept.features.get(name, math.nan) for name in model.manifest.features]

    def _model(self, version: str) -> ServedModel | str:
        try:
            return self.by.bundles.load(version, self.by.bundles.manifest(version).features)
        except (CorruptBundleError, BoosterError, ClientError) as error:
            return f"the model cannot be loaded: {error}"

    def _documents(self, counted: Counted) -> tuple[Policy | None, StoredRules | None]:
        kept = self.kept
        stored = counted.rules(kept.rules_version)
        policy = counted.policy(kept.policy_version)
        if kept.rules_version and stored is None:
            self._unknown("rules", list(kept.rules), "that version of the rules is not kept")
            policy = None
        elif policy is None:
            self._unknown("decision", kept.decision, "that version of the policy is not in the history")
        return policy, stored

    def _judged(self, counted: Counted, given: Scored, policy: Policy, stored: StoredRules | None) -> Judged:
        """The replay that agrees with the record, among those that may have been; else the likeliest."""
        kept, features = self.kept, self.by.features
        vector = tuple(kept.features.get(name, math.nan) for name in features.names)
        row_level = {each.name for each in features.features if isinstance(each, RowFeature)}
        # Without a read nothing but the payment itself is known; after one, at least its counts are.
        was_read = kept.score is not None or bool(kept.features.keys() - row_level)
        rulebook = Rulebook.of(stored) if stored else None
        first = None
        for lists in counted.lists():
            settings = MerchantSettings(rulebook, lists, policy)
            for reached, allowance in self._allowances(policy, given.score):
                judged = decision_on(
                    self.transaction,
                    vector,
                    given,
                    features=features,
                    settings=settings,
                    policy=policy,
                    allowance=allowance,
                    listed=tuple(kept.lists) if was_read else None,
                )
                first = first or judged
                if (judged.decision.decision, judged.decision.rules) == (kept.decision, kept.rules):
                    if reached:
                        self.silent.append(f"The action is a milder one than the policy's first: {BOUND}.")
                    return judged
        if first is None:
            raise AssertionError("there is always a likeliest")
        return first

    def _allowances(self, policy: Policy, score: float | None) -> Iterator[tuple[bool, Allowance]]:
        """What the policy's bounds may have left, that nothing was reached first."""
        passing = policy.pass_through if self.kept.would_be else None
        if policy.pass_through is not None and not self.kept.would_be and self.kept.decision == "decline":
            self.silent.append(LOST)
        bounded = {"decline": policy.most_declined, "review": policy.most_reviewed}
        for place, action in enumerate(policy.ranking(self.transaction, score)):
            yield place > 0, _AsRecorded(action, passing, self.kept.propensity or 0.0)
            if bounded.get(action) is None:
                return

    def _compare(self, judged: Judged, given: Scored) -> None:
        kept, decision, judgement = self.kept, judged.decision, judged.judgement
        note = "let through at random; it would have been declined" if kept.would_be else ""
        self._check("decision", kept.decision, decision.decision, note)
        self._check("rules", list(kept.rules), list(decision.rules))
        self._check("degraded", kept.degraded, decision.degraded)
        self._check("would be", kept.would_be or "", judgement.would_be)
        if kept.propensity is not None:
            self._check("propensity", kept.propensity, judgement.propensity)
        if self.answer is None:
            self._unknown("answer", None, "the lake keeps the row and not the answer")
        elif kept.feature_set != self.by.features.version or (kept.model_version and given.model is None):
            self._unknown("answer", None, "its reasons or signals need features or a model that are not there now")
        else:
            made = msgspec.json.decode(msgspec.json.encode(decision))
            # What an answer of an earlier version did not tell is not asked of it.
            replayed = {name: made.get(name) for name in self.answer}
            for name in ("model", "reasons"):
                self._check(f"answer: {name}", self.answer.get(name), replayed.get(name))
            rest = [name for name in self.answer if name not in ("model", "reasons")]
            self._check(
                "answer: all else",
                {name: self.answer[name] for name in rest},
                {name: replayed[name] for name in rest},
            )


class _AsRecorded(Allowance):
    """Bounds that leave the action that is tried, and a draw at the propensity that was recorded."""

    def __init__(self, action: Action, passing: PassThrough | None, propensity: float) -> None:
        super().__init__(most_declined=None, most_reviewed=None)
        self._action = action
        self.passing = _RecordedBudget(passing, propensity) if passing is not None else None

    def first(self, ranking: tuple[Action, ...]) -> Action:
        return self._action if self._action in ranking else ranking[0]


class _RecordedBudget(PassingBudget):
    __slots__ = ("_propensity", "_rules")

    def __init__(self, given: PassThrough, propensity: float) -> None:
        super().__init__(given)
        self._rules = given
        # No payment is drawn for at more than the share: a record that says so is not replayed.
        self._propensity = min(propensity, given.share)

    def draw(self, transaction: Transaction) -> Draw | None:
        if transaction.amount > self._rules.most_amount or self._propensity <= 0:
            return None
        passed = self._rules.takes(transaction.event_id, self._propensity)
        return Draw(self._propensity, passed, 0, transaction.amount)


def _rules(stored: StoredRules | None, judged: Judged | None) -> Iterator[RuleTold]:
    for rule in stored.rules if stored and judged else ():
        if rule.enabled and judged is not None:
            yield RuleTold(
                id=rule.id,
                words=rule.words or rule.when,
                stage=rule.stage,
                action=rule.action,
                matched=rule.id in judged.judgement.rules,
                failed=rule.id in judged.judgement.failed,
            )


def _bits(value: Any) -> Any:
    """A value whose equality is that of the bits: 0.0 and -0.0 differ, and a missing number is itself."""
    match value:
        case float():
            return value.hex()
        case Mapping():
            return {name: _bits(each) for name, each in value.items()}
        case list() | tuple():
            return [_bits(each) for each in value]
    return value
