"""Plain names: each choice has one, whoever reads it, and one of the user is shown as well."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from reports.text import words
from sim import titles
from sim.config import foreign
from sim.config.choices import options
from sim.config.groups import STACK
from sim.errors import InputError
from sim.titles import Title

GROUPS = ("attack", *STACK, "consortium", "model")
LONGEST = 29  # characters of a plain name, for tables and figures
SENTENCE = 140  # characters


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_has_a_plain_name_of_its_own_and_one_sentence(group: str) -> None:
    found = {name: titles.of(group, name) for name in options(group)}
    named = [title for title in found.values() if title is not None]
    assert len(named) == len(found)
    assert [title for title, n in Counter(one.title for one in named).items() if n > 1] == []
    for title in named:
        assert len(title.title) <= LONGEST
        assert "_" not in title.title
        assert group != "attack" or ", " not in title.title, "a list of names has commas itself"
        assert len(title.plain) <= SENTENCE
        assert re.fullmatch(r"[A-Z0-9][^.:;]*(; nobody is hostile)?\.", title.plain), title.plain


def test_the_parts_of_a_stack_are_those_of_a_defense() -> None:
    assert set(titles.PARTS) == set(STACK)


def test_every_preset_is_named_and_explained_by_its_head_or_by_its_parts() -> None:
    for name in options("defense"):
        assert titles.explained("defense", name), name
        assert len(titles.defense(name)) <= LONGEST
    assert titles.defense("bucketing_median") == "bucketing + median"
    assert titles.defense("arc_nnm_trimmed_mean") == "ARC + NNM + trimmed mean"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("secagg+dp_record", "secure aggregation + record-level DP"),
        ("krum+clip", "Krum + norm clipping"),
        ("none+dp=record", "no defense + record-level DP"),
        ("krum+own", "Krum + own"),
        ("own", "own"),
        ("own+other", "own+other"),
        ("+", "+"),
        ("", ""),
        ("../attack/alie", "../attack/alie"),
    ],
)
def test_a_stack_is_named_from_its_parts_and_an_unknown_name_stays(name: str, plain: str) -> None:
    assert titles.defense(name) == plain


def test_attacks_that_run_together_are_named_together() -> None:
    assert titles.attack("backdoor+model_replacement") == "backdoor + model replacement"
    assert titles.attack("median") == "median"  # a defense is no attack
    assert titles.of("attack", "median") is None


def test_a_plain_name_starts_a_sentence_with_a_capital_and_a_typed_one_as_it_is() -> None:
    assert words.attack_first("sign_flip") == "Sign flipping"
    assert words.attack_first("own") == "own"
    assert words.defense_first("median") == "Median"
    assert words.under("none") == "with no defense"
    assert words.under("own") == "under own"


def files(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_choices_of_a_user_are_named_by_their_files_and_from_the_parts_of_presets(
    tmp_path: Path,
) -> None:
    head = "# title: {0}\n# plain: It is {0}.\n"
    folder = files(
        tmp_path,
        attack__mine="# @package attack.mine\n" + head.format("my attack") + "scale: 1\n",
        attack__half="# title: half\nscale: 1\n",
        attack__late="scale: 1\n" + head.format("late"),
        aggregator__ours=head.format("our rule"),
        defense__ours="defaults:\n  - override /aggregator: ours\n  - override /steps: [clip]\n",
        defense__odd="defaults: 3\n",
    )
    names = {"attack": ["mine+alie", "half", "late"], "defense": ["ours+secagg", "odd", "krum"]}
    found = titles.of_user(folder, names)
    assert found == {
        "attack": {"mine": {"title": "my attack", "plain": "It is my attack."}},
        "defense": {
            "ours": {
                "title": "our rule + norm clipping",
                "plain": "It is our rule. "
                "The step shortens every update that is longer than a fixed length.",
            }
        },
    }
    with titles.known(titles.stored(found)):
        assert titles.attack("mine+alie") == "my attack + hidden shift"
        assert titles.defense("ours") == "our rule + norm clipping"
    assert titles.attack("mine") == "mine"


@pytest.mark.parametrize(
    "node",
    [
        None, [], 3, {"attack": 3}, {"attack": {"mine": 3}}, {"attack": {"mine": {"title": "a"}}},
        {"attack": {"mine": {"title": 3, "plain": "b"}}},
        {"attack": {"mine": {"title": "", "plain": "b"}}},
    ],
)  # fmt: skip
def test_a_manifest_of_anybody_names_nothing_that_it_does_not_state(node: object) -> None:
    with titles.known(titles.stored(node)):
        assert titles.attack("mine") == "mine"


def test_names_of_a_manifest_are_cut_and_rename_nothing_of_the_project() -> None:
    long = {"title": "a" * 1000, "plain": "b" * 1000}
    found = titles.stored({"attack": {"mine": long, "alie": long}})
    assert found["attack"]["mine"] == Title("a" * titles.LONGEST, "b" * titles.MOST)
    with titles.known(found):
        assert titles.attack("alie") == "hidden shift"


LIKE_KRUM = (
    "Krum", " krum", "K-r-u-m", "\N{FULLWIDTH LATIN CAPITAL LETTER K}rum", "Krurn",
    "\N{CYRILLIC CAPITAL LETTER KA}rum", "\N{GREEK CAPITAL LETTER KAPPA}rum", "Kr\xfcm",
)  # fmt: skip
ALL_CYRILLIC = "".join(
    f"{unicodedata.lookup('CYRILLIC CAPITAL LETTER ' + key)}" for key in ("DZE", "EM", "IE", "A")
)


LATIN = (
    "tr\N{LATIN SMALL LETTER DOTLESS I}mmed mean",
    "medi\N{LATIN SMALL LETTER ALPHA}n",
    "si\N{LATIN SMALL LETTER SCRIPT G}n flipping",
    "".join(unicodedata.lookup(f"LATIN LETTER SMALL CAPITAL {key}") for key in "KRUM"),
)


@pytest.mark.parametrize("title", [*LIKE_KRUM, *LATIN, ALL_CYRILLIC, "c1ip", "multi_krum", "a1ie"])
def test_no_choice_of_a_user_passes_as_one_of_the_project(title: str) -> None:
    found = titles.stored({"defense": {"mine": {"title": title, "plain": "It is mine."}}})
    assert (titles.posing(title) or "").startswith("looks like ")
    with titles.known(found):
        assert titles.defense("mine+secagg") == "mine + secure aggregation"
        assert titles.of("defense", "mine") is None


@pytest.mark.parametrize(
    "title",
    [
        "Krum + median", "krum+median", "Krum, median", "Krum and median", "KRUM  /  Median",
        "Krum median", "norm clipping + Krum + secure aggregation", "secagg + dp_record",
        "\N{CYRILLIC CAPITAL LETTER KA}rum \N{FULLWIDTH PLUS SIGN} median",
        "sign flipping with none",
        "hidden shift & sign flipping", "Krum + Krum",
    ],
)  # fmt: skip
def test_no_title_of_a_user_passes_as_a_combination_of_titles_of_the_project(title: str) -> None:
    assert " + " in (titles.posing(title) or "")
    found = titles.stored({"defense": {"mine": {"title": title, "plain": "It is mine."}}})
    with titles.known(found):
        assert titles.defense("mine+secagg") == "mine + secure aggregation"


def test_every_combination_of_two_titles_of_the_project_is_refused_and_no_other() -> None:
    ours = [one.title for name in options("attack") if (one := titles.of("attack", name))]
    for first, second in zip(ours, reversed(ours), strict=True):
        assert titles.posing(f"{first} + {second}") is not None
        assert titles.posing(f"{first} + mine") is None
        assert titles.posing(f"my own {first}") is None


@pytest.mark.parametrize(
    ("title", "is_mixed"),
    [
        ("wei\N{CYRILLIC SMALL LETTER GHE}hted mean", True),
        ("weighted \N{GREEK SMALL LETTER GAMMA}mean", True),
        ("weighted mean, \N{GREEK SMALL LETTER GAMMA} = 2", False),
        ("mittlere Gr\xf6\xdfe", False),
        ("\u0441\u0440\u0435\u0434\u043d\u0435\u0435", False),
        ("\u5e73\u5747\u306e\u30e1\u30b8\u30a2\u30f3 2", False),
    ],
)
def test_a_title_has_one_script_a_word(title: str, *, is_mixed: bool) -> None:
    found = titles.posing(title)
    assert (found is not None and found.startswith("mixes scripts within the word ")) is is_mixed


@pytest.mark.parametrize("title", LIKE_KRUM)
def test_a_folder_with_a_title_that_looks_like_one_of_the_project_is_refused_in_one_line(
    tmp_path: Path, title: str
) -> None:
    files(tmp_path, defense__mine=f"# title: {title.strip()}\n# plain: It is mine.\n")
    with pytest.raises(InputError) as caught:
        foreign.check(str(tmp_path))
    text = str(caught.value)
    assert text == (
        f"--config-dir={tmp_path / 'defense' / 'mine.yaml'}: its title {title.strip()!a}"
        " looks like 'Krum'; expected another title"
    )


def test_a_folder_with_a_title_of_its_own_is_taken(tmp_path: Path) -> None:
    files(tmp_path, defense__mine="# title: my own\n# plain: It is mine.\n")
    foreign.check(str(tmp_path))
