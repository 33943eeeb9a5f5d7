"""What is said of a rule when it is saved: what it becomes, or why it is refused and what was meant."""

import re

import pytest

from fraud.features import STANDARD
from fraud.features.definitions import WindowFeature
from fraud.rules import Rule, RuleError
from fraud.rules.cel import write
from fraud.rules.check import check_expression, check_rules
from fraud.rules.documents import MOST_RULES
from fraud.rules.vocabulary import Vocabulary
from fraud.rules.words import explained
from fraud.windows import written

LISTS = ("vip", "known-fraudsters")
VOCABULARY = Vocabulary(STANDARD, LISTS, stage="after")
COUNTED = ("merchant", "device", "card", "customer", "shipping_country")


@pytest.mark.parametrize(
    ("source", "cel", "words"),
    [
        (
            'count(card, "1h") > 5 && amount > 20000',
            "card_count_1h > 5.0 && amount > 20000",
            "the number of payments of the card within 1 hour is above 5 and the amount is above 20000",
        ),
        (
            'distinct(card, merchant, "1d") >= 3',
            "card_distinct_merchant_id_24h >= 3.0",
            "the number of different values of merchant seen with the card within 24 hours is at least 3",
        ),
        (
            'fraud_rate(merchant, "28d") > 0.02',
            "merchant_fraud_rate_28d_after_7d > 0.02",
            "the share of fraud payments of the merchant within 28 days (up to 7 days ago) is above 0.02",
        ),
        (
            'since_last(card, "30d") < 60',
            "card_since_last_30d < 60.0",
            "the seconds since the last payment of the card within 30 days is below 60",
        ),
        (
            "amount / 100 > 200 || !degraded",
            "double(amount) / 100.0 > 200.0 || !degraded",
            "the amount divided by 100 is above 200 or it is not so that (the answer is degraded)",
        ),
        (
            "card_amount_sum_24h / card_count_24h > 5000",
            "(card_count_24h == 0.0 ? double(1 / 0) : card_amount_sum_24h / card_count_24h) > 5000.0",
            "the total amount of payments of the card within 24 hours divided by "
            "the number of payments of the card within 24 hours is above 5000",
        ),
        (
            "!('vip' in lists) && (issuer_country != billing_country || mcc in ['7995', '6051'])",
            '!("vip" in lists) && (issuer_country != billing_country || mcc in ["7995", "6051"])',
            'the payment is not on the list "vip" and (the country of the card\'s issuer is not the billing '
            'country or the merchant category is one of "7995" or "6051")',
        ),
        (
            "decision == 'decline' && amount % 1000 == 0",
            'decision == "decline" && amount % 1000 == 0',
            'the decision so far is "decline" and the amount modulo 1000 is 0',
        ),
        (
            "(amount - 1) * (2 + score) >= -0.5",
            "double(amount - 1) * (2.0 + score) >= -0.5",
            "(the amount minus 1) times (2 plus the score) is at least minus 0.5",
        ),
    ],
)
def test_a_condition_in_cel_and_in_words(source: str, cel: str, words: str) -> None:
    checked = check_expression(source, VOCABULARY)
    assert write(checked) == cel
    assert explained(checked, VOCABULARY) == words


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("card_cont_1h > 5", "line 1, column 1: there is no such field or feature; did you mean card_count_1h?"),
        ('coutn(card, "1h") > 5', "did you mean count?"),
        ('count(crad, "1h") > 5', "did you mean card?"),
        ('count(card, "2h") > 5', 'registered for "1m", "10m", "1h", "24h", "7d", "30d" only'),
        ('count(card, "soon") > 5', 'a window is a text such as "10m"'),
        ("count(card) > 5", 'write count(card, "24h")'),
        ('count("card", "1h") > 5', 'write count(card, "24h")'),
        ("count(card, 1) > 5", 'a window is a text such as "10m"'),
        ('distinct(card, "7d") > 5', 'write distinct(card, device, "24h")'),
        ('distinct(card, devise, "7d") > 5', "counted of device, merchant only; did you mean device?"),
        ("count > 5", 'a velocity needs what it is of and a window, such as count(card, "1h")'),
        ('card == "tok_1"', "ask for a list that holds it"),
        ('"vipp" in lists', 'there is no such list; did you mean "vip"?'),
        ("bin in lists", "ask for a list by its name"),
        ("lists == lists", "ask for a list with `in`"),
        ('"a" in "abc"', "to the right of `in` stands a list"),
        ('channel == "ecom"', 'one of ecommerce, app, pos, moto; did you mean "ecommerce"?'),
        ('"eur" == currency', 'an ISO 4217 code; did you mean "EUR"?'),
        ('issuer_country in ["FR", "France"]', 'written like "FR"'),
        ("amount > 10 and score > 0.5", "column 13: the expression cannot go on like this; did you mean &&?"),
        ("amount = 10", "did you mean ==?"),
        ("1 < amount < 10", "one comparison cannot follow another; join two of them with &&"),
        ("amount > 10 &&", "column 15: the expression ends too early"),
        ("amount >\n\n'unfinished", "line 3, column 1: the text does not end"),
        ("degraded ? true : false", "there is no ? : in the language"),
        ("amount", "a condition is true or false, and this is a whole number"),
        ("device_missing && amount > 1", "compare it, with == 1 if it is 0 or 1"),
        ("!bin", "! takes what is true or false, and this is a text"),
        ('amount > "10"', "> takes numbers, and this is a text"),
        ('amount == "10"', "a whole number is never a text"),
        ("currency in [1, 2]", "a text is never a whole number"),
        ("amount in [score]", "a list holds constants only"),
        ("amount in []", "1 to 200 items"),
        ("[1] == [1]", "to the right of `in` only"),
        ("degraded in [1]", "true or false is never a whole number"),
        ("score % 2 == 0", "% takes whole numbers"),
        ("amount / 0 > 1", "nothing can be divided by zero"),
        ("amount % 0 == 1", "nothing can be divided by zero"),
        ("1 / (1 / score) > 2", "holds a division itself; multiply instead"),
        ("bin.startsWith(currency)", 'such as bin.startsWith("4111")'),
        ("bin.startsWith()", 'such as bin.startsWith("4111")'),
        ("+1 < amount", "leave it out"),
        ("amount > 1000000000000001", "larger than any amount"),
        (f"bin == '{'4' * 257}'", "longer than 256 characters"),
    ],
)
def test_a_refusal_says_where_why_and_what_was_meant(source: str, message: str) -> None:
    with pytest.raises(RuleError) as refused:
        check_expression(source, VOCABULARY)
    assert message in str(refused.value)
    assert refused.value.line is not None


@pytest.mark.parametrize("name", STANDARD.names)
def test_every_feature_can_be_named(name: str) -> None:
    checked = check_expression(f"{name} > 1", VOCABULARY)
    assert write(checked).startswith(f"{name} > 1")
    assert explained(checked, VOCABULARY).endswith(" is above 1")


@pytest.mark.parametrize("feature", STANDARD.windowed, ids=lambda feature: feature.name)
def test_every_window_feature_can_be_asked_for_by_what_it_is(feature: WindowFeature) -> None:
    sources = [
        f'{function}({entity}, "{written(feature.window.length)}") > 1'
        for function in VOCABULARY.functions
        for entity in (feature.entity.name, *(f"{feature.entity.name}, {each}" for each in COUNTED))
    ]
    found = set()
    for source in sources:
        try:
            found.add(write(check_expression(source, VOCABULARY)).partition(" ")[0])
        except RuleError:
            continue
    assert feature.name in found


def test_the_decision_can_be_asked_for_after_it_was_made_only() -> None:
    with pytest.raises(RuleError, match='only a rule of the stage "after"'):
        check_expression("decision == 'approve'", Vocabulary(STANDARD))


def test_rules_become_what_is_stored() -> None:
    rules = (
        Rule(id="burst", when='count(card, "1h") > 5 && "vip" in lists', action="decline", priority=5),
        Rule(id="mild", when="decision == 'decline'", action="review", stage="after", enabled=False),
    )
    burst, mild = check_rules(rules, STANDARD, LISTS)
    assert burst.cel == 'card_count_1h > 5.0 && "vip" in lists'
    assert burst.needs == ("card_count_1h", "lists")
    assert (burst.id, burst.when, burst.priority, burst.action) == ("burst", rules[0].when, 5, "decline")
    assert mild.needs == ("decision",)
    assert (mild.stage, mild.enabled) == ("after", False)
    assert mild.words == 'the decision so far is "decline"'


def test_a_refusal_names_the_rule() -> None:
    fine = Rule(id="fine", when="degraded", action="review")
    wrong = Rule(id="wrong", when="\namout > 1", action="review")
    with pytest.raises(RuleError) as refused:
        check_rules((fine, wrong), STANDARD)
    error = refused.value
    assert (error.field, error.line, error.column, error.suggestion) == ("rules[1].when", 2, 1, "amount")
    assert re.search("amout", str(error)) is None, "what was sent is not repeated"


def test_ids_are_unique_and_rules_not_too_many() -> None:
    rule = Rule(id="one", when="degraded", action="review")
    with pytest.raises(RuleError, match=re.escape("rules[1].id: another rule has this id")):
        check_rules((rule, rule), STANDARD)
    many = [Rule(id=f"r{n}", when="degraded", action="review") for n in range(MOST_RULES + 1)]
    assert len(check_rules(many[:-1], STANDARD)) == MOST_RULES
    with pytest.raises(RuleError, match="more than 100 rules"):
        check_rules(many, STANDARD)
