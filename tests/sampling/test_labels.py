"""Labels as people type them: names first, numbers and ranges where they mean something; and names for files."""

import re
from collections.abc import Sequence

import pytest

from gancli.errors import UsageError
from gancli.sampling.labels import file_names, parse_labels

TWELVE = tuple(str(number) for number in range(1, 13))
PETS = ("cat", "dog", "horse")


def chosen(names: Sequence[str], *texts: str) -> list[str]:
    return [names[label] for label in parse_labels(texts, names)]


def test_numbers_and_ranges_are_of_names_where_names_are_numbers() -> None:
    assert chosen(TWELVE, "1-3") == ["1", "2", "3"]
    assert chosen(TWELVE, "12,1") == ["12", "1"]
    assert chosen(("2", "3", "5", "7"), "2") == ["2"]
    assert chosen(("2", "3", "5", "7"), "2-5,7") == ["2", "3", "5", "7"]
    assert chosen(("01", "02", "03"), "1-2,03") == ["01", "02", "03"]
    assert chosen(tuple("0123456789"), "0-9") == list("0123456789")
    assert chosen(("1", "2", "cat"), "2,cat") == ["2", "cat"]


@pytest.mark.parametrize("text", ["0", "4", "0-3", "2-9", "5-3", "", "2,,3"])
def test_a_number_that_is_no_class_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--label .*: the model knows 2, 3, 5, 7$"):
        parse_labels([text], ("2", "3", "5", "7"))


def test_the_classes_there_are_are_told_in_short() -> None:
    with pytest.raises(UsageError, match=re.escape("--label 13: the model knows 1, 2, 3, 4")):
        parse_labels(["13"], TWELVE)
    with pytest.raises(
        UsageError, match=re.escape("the model knows cat, dog, horse; by number 0-2 (did you mean dog?)")
    ):
        parse_labels(["dogg"], PETS)
    with pytest.raises(UsageError, match=re.escape("the model knows ' a', 'b,c'")):
        parse_labels(["x"], (" a", "b,c"))


def test_where_names_are_words_numbers_are_places() -> None:
    assert chosen(PETS, "0-1,2") == ["cat", "dog", "horse"]
    assert chosen(PETS, "1 - 2") == ["dog", "horse"]
    with pytest.raises(UsageError, match="--label 0-3"):
        parse_labels(["0-3"], PETS)


def test_a_name_comes_before_what_else_it_could_mean() -> None:
    assert chosen(("0-1", "t-shirt", "all", "x"), "0-1,t-shirt,all") == ["0-1", "t-shirt", "all"]
    assert chosen(PETS, "all") == list(PETS)


def test_all_names_can_be_chosen() -> None:
    odd = (" cat", "cat ", "a,b", "a", "b,c", "c", 'd"e', "", "f\\,g", "caf\udce9", "new\nline", ",")
    for name in odd:
        assert chosen(odd, name) == [name]
    assert chosen(odd, "a,b,c") == ["a,b", "c"]  # the longest first
    assert chosen(odd, "a,b\\,c", "c") == ["a", "b,c", "c"]
    assert chosen(("cat", "dog"), " cat , dog ") == ["cat", "dog"]
    assert chosen(odd, r"caf\xe9", r"new\nline") == ["caf\udce9", "new\nline"]  # as gan inspect shows them


def test_a_name_may_be_written_in_another_case_or_with_other_accents() -> None:
    assert chosen(("Cat", "Zoe\u0308"), "cat", "zo\u00eb") == ["Cat", "Zoe\u0308"]
    with pytest.raises(UsageError, match="--label CAT"):  # two could be meant
        parse_labels(["CAT"], ("Cat", "cat"))


def test_no_two_classes_share_a_name_of_files() -> None:
    names = ("a/b", "a:b", "a-b", "A-B", "a-b-0", "", "..", "class-5", "e\u0301", "\u00e9")
    files = file_names(names)
    assert len({file.casefold() for file in files}) == len(names)
    assert file_names(("cat", "dog", "Cat")) == ("cat-0", "dog", "Cat-2")
