"""A punctured key cannot make some tags any more, whatever one does with it, and makes all others as before."""

import hashlib
from itertools import count

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fraud.puncturable import BITS, NODE_BYTES, ROOT, PuncturableKey, child

KEY = PuncturableKey.of("a token key for the tests, of 32 bytes or more")
VALUES = [f"card\0{number}".encode() for number in range(12)]
CHILDREN = 16
LEVELS = 10

some_values = st.lists(st.sampled_from(VALUES), min_size=1, max_size=4)


def punctured(key: PuncturableKey, *rounds: list[bytes]) -> PuncturableKey:
    seeds = count()
    for values in rounds:
        key = key.punctured(values, lambda: next(seeds).to_bytes(32))
    return key


def ancestors(node: int) -> set[int]:
    """The node itself, and all from which it can be made."""
    return {node >> 4 * level for level in range(LEVELS + 1)} - {0}


def test_a_tag_comes_from_the_leaf_to_which_a_value_leads() -> None:
    """The whole way once more, by the definition."""
    value = VALUES[0]
    leaf = KEY.leaf(value)
    assert leaf >> BITS == ROOT
    node = KEY.trees[0][ROOT]
    for digit in f"{leaf - (1 << BITS):010x}":
        node = child(node, int(digit, CHILDREN))
    assert KEY.tag(value) == hashlib.blake2b(value, key=node, digest_size=16).hexdigest()
    secret = hashlib.blake2b(value, key=node, digest_size=16, person=b"secret").digest()
    assert KEY.tag_and_secret(value) == (KEY.tag(value), secret)
    assert secret != bytes.fromhex(KEY.tag(value))


@settings(max_examples=60, deadline=None)
@given(st.lists(some_values, min_size=1, max_size=4))
def test_a_punctured_value_cannot_be_reached_from_any_node_that_is_kept(rounds: list[list[bytes]]) -> None:
    key = punctured(KEY, *rounds)
    times = {value: sum(value in values for values in rounds) for value in VALUES}
    for value, often in times.items():
        kept = [not ancestors(key.leaf(value)).isdisjoint(tree) for tree in key.trees]
        # Once for each time it came back and was erased again, and the tree after these makes its tag.
        assert kept[:often] == [False] * often
        assert kept[often]
    assert key.trees[-1].keys() == {ROOT}
    assert key.blind == KEY.blind


@settings(max_examples=60, deadline=None)
@given(st.lists(some_values, min_size=1, max_size=4))
def test_all_other_values_keep_their_tags_and_a_punctured_one_gets_another_each_time(
    rounds: list[list[bytes]],
) -> None:
    seen = {value: [KEY.tag(value)] for value in VALUES}
    key = KEY
    for number, values in enumerate(rounds):
        fresh = hashlib.sha256(bytes([number])).digest()
        key = key.punctured(values, lambda fresh=fresh: fresh)  # type: ignore[misc]  # bound at once
        for value in VALUES:
            if value in values:
                assert key.tag(value) not in seen[value]
                seen[value].append(key.tag(value))
            else:
                assert key.tag(value) == seen[value][-1]


@settings(max_examples=30, deadline=None)
@given(some_values, some_values)
def test_the_order_of_punctures_does_not_matter(one: list[bytes], other: list[bytes]) -> None:
    assume(set(one).isdisjoint(other))
    assert punctured(KEY, [*one, *other]).trees[0] == punctured(KEY, one, other).trees[0]


def test_each_puncture_keeps_the_nodes_beside_its_way_and_no_more() -> None:
    once = punctured(KEY, [VALUES[0]])
    assert len(once.trees[0]) == LEVELS * (CHILDREN - 1)
    leaf = once.leaf(VALUES[0])
    assert {node >> 4 for node in once.trees[0]} == ancestors(leaf) - {leaf}
    assert all(len(node) == NODE_BYTES for node in once.trees[0].values())
    many = punctured(KEY, [f"{number}".encode() for number in range(300)])
    assert len(msgspec.msgpack.encode(many)) < 300 * 3_000


def test_what_is_kept_of_a_punctured_tree_is_made_of_what_was_there() -> None:
    tree = punctured(KEY, VALUES[:3]).trees[0]
    root = KEY.trees[0][ROOT]
    for number, node in tree.items():
        made = root
        for digit in f"{number:x}"[1:]:
            made = child(made, int(digit, CHILDREN))
        assert made == node
    assert root not in tree.values()
