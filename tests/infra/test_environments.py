import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import aws_cdk as cdk
import pytest

from fraud.release import ReleasePolicy, RunPolicy
from infra.context import environment_of, repository_of
from infra.environment import Environment
from infra.environments import DEV, ENVIRONMENTS, LOCAL, PROD, STAGING, lookup
from infra.targets import target


def test_local_is_dev_but_for_its_capabilities_and_how_quick_it_is() -> None:
    moved = replace(
        LOCAL,
        name=DEV.name,
        architecture=DEV.architecture,
        capabilities=DEV.capabilities,
        release_latency_ms=DEV.release_latency_ms,
        token_refresh_seconds=DEV.token_refresh_seconds,
    )
    assert moved == DEV


@pytest.mark.parametrize("name", ["local", "dev", "staging", "prod"])
def test_every_environment_is_found_by_its_name(name: str) -> None:
    assert lookup(name) is not None
    assert lookup(name) == ENVIRONMENTS[name]
    assert lookup(name).account is None


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no environment 'production'; give one of: local, dev, staging, prod"):
        lookup("production")


PINNED = {"prod": {"account": "123456789012", "region": "eu-west-1"}}


def test_an_environment_goes_where_it_is_written_down() -> None:
    bound = target(PROD, PINNED)
    assert (bound.account, bound.region) == ("123456789012", "eu-west-1")
    assert replace(bound, account=None, region=None) == PROD
    assert target(PROD, PINNED, **PINNED["prod"]) == bound
    assert target(DEV, PINNED) == DEV
    assert target(STAGING, PINNED, account="210987654321", region="us-east-2").account == "210987654321"
    # To look at its templates, and not by accident.
    assert target(PROD, {}, unpinned=True) == target(PROD, PINNED, unpinned=True) == PROD


@pytest.mark.parametrize(
    ("chosen", "accounts", "given", "why"),
    [
        (PROD, {}, {}, r"^accounts: prod is deployed to one account and region; .* -c unpinned=true"),
        (STAGING, PINNED, {}, r"^accounts: staging is deployed to one account"),
        (
            PROD,
            PINNED,
            {"account": "210987654321"},
            r"^account: prod is pinned to 123456789012 in cdk.json, and -c acc",
        ),
        (PROD, PINNED, {"region": "us-east-1"}, r"^region: prod is pinned to eu-west-1"),
        (DEV, {}, {"account": "123456789012"}, r"^region: give account and region together"),
        (DEV, {}, {"region": "eu-west-1"}, r"^account: give account and region together"),
        (PROD, {"prod": {"account": "123456789012"}}, {}, r"^region: give account and region together"),
        (
            PROD,
            {"prod": {"account": 123456789012}},
            {},
            r"^accounts.prod account: 123456789012 is none; .* in quotes",
        ),
        (PROD, {"prod": {"acount": "1"}}, {}, r"^accounts.prod.acount: there are only account and region"),
        (DEV, {"production": {}}, {}, r"^env: there is no environment 'production'"),
        (DEV, {}, {"region": "Ireland", "account": "123456789012"}, r"^-c region: 'Ireland' is none"),
    ],
)
def test_a_target_that_is_wrong_is_told(
    chosen: Environment, accounts: dict[str, dict[str, str]], given: dict[str, str], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        target(chosen, accounts, **given)


def test_only_environments_with_real_merchants_are_pinned() -> None:
    assert {each.name for each in ENVIRONMENTS.values() if each.pinned} == {"staging", "prod"}


def test_the_command_line_says_the_rest() -> None:
    def environment(**context: object) -> Environment:
        return environment_of(cdk.App(context=context).node)

    assert environment(env="prod", accounts=PINNED).region == "eu-west-1"
    assert environment(env="prod", accounts=PINNED, canary="off").canary is None
    for name, each in ENVIRONMENTS.items():
        assert environment(env=name, **({"unpinned": "true"} if each.pinned else {})) == each
    for context, why in (
        ({"env": "prod"}, "^accounts: "),
        ({"env": "prod", "unpinned": "yes"}, "^unpinned: 'yes' is neither true nor false"),
        ({"env": "dev", "canary": "no"}, "^canary: 'no' is neither on nor off"),
        ({"env": "dev", "accounts": "123456789012"}, "^accounts: .* is no object"),
    ):
        with pytest.raises(ValueError, match=why):
            environment(**context)
    for right in ("acme/paywarden", "acme@1/paywarden@2"):
        assert repository_of(cdk.App(context={"repository": right}).node) == right
    assert repository_of(cdk.App().node) is None
    for wrong in ("acme", "acme/*", "acme/pay:warden", "acme@1/paywarden", "acme/paywarden@2", "acme@*/a@2"):
        with pytest.raises(ValueError, match=r"^repository: "):
            repository_of(cdk.App(context={"repository": wrong}).node)


def test_an_environment_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        DEV.name = "other"  # type: ignore[misc]


def test_only_environments_without_real_merchants_replay_time() -> None:
    assert {each.name for each in ENVIRONMENTS.values() if each.replay_time} == {"local", "dev"}


def test_data_outlives_the_stacks_where_it_is_real() -> None:
    for environment in (STAGING, PROD):
        assert environment.retain_data
        assert environment.point_in_time_recovery
    assert {each.name for each in ENVIRONMENTS.values() if each.termination_protection} == {"prod"}


def test_a_model_serves_in_production_only_by_a_persons_word_and_here_at_once() -> None:
    assert {each.name for each in ENVIRONMENTS.values() if each.run_policy.release.approval == "person"} == {
        "prod"
    }
    for each in (LOCAL, DEV):
        release = each.run_policy.release
        assert (release.shadows, release.canary_share, release.probation_minutes) == (False, 0, 0)
    for each in (STAGING, PROD):
        release = each.run_policy.release
        assert release.shadows
        assert release.canary_share > 0
        assert release.probation_minutes > 0


def test_where_people_pay_a_run_may_not_loosen_its_policy_and_waits_a_month_for_labels() -> None:
    assert {each.name for each in ENVIRONMENTS.values() if each.loose_runs} == {"local", "dev"}
    maturities = {name: each.run_policy.data.maturity_days for name, each in ENVIRONMENTS.items()}
    assert maturities == {"local": 3, "dev": 3, "staging": 30, "prod": 30}
    # Without labels a person decides, but for where nobody pays.
    assert {each.name for each in ENVIRONMENTS.values() if each.run_policy.release.unlabelled == "pass"} == {
        *("local", "dev")
    }


def test_a_policy_that_no_run_could_hold_to_is_refused_at_synth() -> None:
    policy = RunPolicy(release=ReleasePolicy(shadow_decisions=10, shadow_hours=0))
    with pytest.raises(ValueError, match=r"^x: policy\.release\.shadow_hours: "):
        Environment(name="x", run_policy=policy)


def test_reading_the_environments_does_not_load_the_cdk() -> None:
    program = "import sys, infra.environments; sys.exit('aws_cdk' in sys.modules or 'jsii' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=lambda each: each.name)
def test_plans_are_named_the_same_everywhere_and_fit_under_the_apis_throttle(
    environment: Environment,
) -> None:
    standard, high = environment.plans
    assert (standard.name, high.name) == ("standard", "high")
    assert standard.throttle.rate < high.throttle.rate < environment.stage_throttle.rate
    assert standard.throttle.burst < high.throttle.burst < environment.stage_throttle.burst
    assert standard.monthly_quota < high.monthly_quota


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=lambda each: each.name)
def test_an_ended_key_is_refused_within_the_minute_that_the_docs_promise(environment: Environment) -> None:
    assert 0 < environment.authorizer_cache_seconds <= 60
