"""Processes that find each other in a store that an earlier attempt left its words in."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch.distributed as dist

from gancli.errors import GancliError
from gancli.machine.ranks import agree_on_key

WORLD = 3


def met(store: object, ranks: range = range(WORLD)) -> set[str]:
    with ThreadPoolExecutor(WORLD) as pool:
        return set(pool.map(lambda rank: agree_on_key(store, rank, WORLD, 10), ranks))


def test_all_of_an_attempt_have_one_word_and_the_next_attempt_another() -> None:
    store = dist.HashStore()  # type: ignore[attr-defined]
    words = [met(store), met(store), met(store)]
    assert [len(word) for word in words] == [1, 1, 1]
    assert len(set.union(*words)) == 3


def test_a_question_that_died_unanswered_is_not_taken_for_the_next_one() -> None:
    store = dist.HashStore()  # type: ignore[attr-defined]
    store.set("gancli/request/1", "of one that is dead")
    with ThreadPoolExecutor(1) as first:
        word = first.submit(agree_on_key, store, 0, WORLD, 60)
        answer = str(store.get("gancli/key/of one that is dead"), "ascii")  # waits for it; nobody else does
        assert met(store, range(1, WORLD)) == {answer} == {word.result()}


def test_who_does_not_come_is_named() -> None:
    with pytest.raises(GancliError, match="process 1 of 3 did not join within 0 minutes"):
        agree_on_key(dist.HashStore(), 0, WORLD, 0.05)  # type: ignore[attr-defined]
