"""Values as words of the command line: what Hydra reads back is what was written."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import InputError
from sim.spelling import written

SIGNS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
SINGLE = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | SIGNS
KEYS = st.text("abcXYZ_019 :=,()[]{}\\-./$%*@?|+", min_size=1, max_size=8).filter(
    lambda key: key.strip() == key and key[0].isalpha()
)
VALUES = st.recursive(
    SINGLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def read_back(text: str) -> object:
    (override,) = OverridesParser.create().parse_overrides([f"key={text}"])
    return override.value()


@given(VALUES)
def test_hydra_reads_back_what_was_written(value: object) -> None:
    assert read_back(written(value)) == value


@pytest.mark.parametrize("text", ["it's", "\\", "\\'", "a\\\\'b\\", "${seed}", "[1", "a,b", "yes"])
def test_a_text_stays_a_text(text: str) -> None:
    assert read_back(written(text)) == text


def test_a_key_that_no_override_can_hold_is_refused() -> None:
    with pytest.raises(InputError, match="größe"):
        written({"größe": 1})
