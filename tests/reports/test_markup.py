"""What every table of a page gets: scopes, labels, values, names to filter by, ids and links."""

from __future__ import annotations

import re

import pytest

from reports import markup

HEAD = (
    "<thead><tr><th>Attack</th><th>Defense</th>"
    '<th class="n">Mean<br>score<span class="iv">small</span></th><th></th></tr></thead>'
)
ROWS = (
    '<tr class="first"><td>no attack</td><td>krum \N{DAGGER}</td><td class="n">\N{MINUS SIGN}0.016'
    '<span class="iv">1 to 2</span></td><td>a &#34;b&#34;</td></tr>\n'
    '<tr><td>no attack</td><td>krum</td><td class="n">\N{EN DASH}</td><td></td></tr>\n'
    '<tr id="mine"><td><code data-key="alie">A little</code></td><td>no defense</td>'
    '<td class="n" data-value="7">3 of 5</td><td></td></tr>'
)
PAGE = f"""<section id="attacks"><h2>Attacks</h2>
<figure id="fig-map"><svg></svg><figcaption>A map.</figcaption></figure>
<div class="wide"><table>
<caption>Every cell. Small: intervals.</caption>
{HEAD}
<tbody>
{ROWS}
</tbody></table></div>
</section>
<table><tbody><tr><td>key</td><td>value</td></tr></tbody></table>"""


def test_a_table_gets_what_readers_and_their_tools_need() -> None:
    made = markup.dressed(PAGE)
    head, first, second, third, other = re.findall(r"<tr.*?</tr>", made)
    assert head.count('scope="col"') == 3
    assert "<td></td></tr>" in head
    assert first.startswith(
        '<tr class="first" id="attacks--no_attack--krum" data-attack="none" data-defense="krum">'
        '<th scope="row">no attack<a class="here" href="#attacks--no_attack--krum"'
    )
    assert '<td data-label="Defense">krum' in first
    assert '<td class="n" data-label="Mean score" data-value="-0.016">' in first
    assert "<td>a &#34;b&#34;</td>" in first
    assert 'id="attacks--no_attack--krum-2"' in second
    assert "data-value" not in second
    assert third.startswith('<tr id="mine" data-attack="alie" data-defense="none">')
    assert third.count("data-value") == 1
    assert other.startswith('<tr id="attacks-table-2--key--value"><th scope="row">key')


def test_what_scrolls_can_be_reached_and_has_a_name() -> None:
    made = markup.dressed(PAGE)
    group = '<div class="wide" tabindex="0" role="group" aria-label="Every cell">'
    assert group + '<table id="attacks-table">' in made


def test_sections_and_figures_link_to_themselves() -> None:
    made = markup.dressed(PAGE)
    assert '<h2>Attacks<a class="here" href="#attacks" aria-label="Link to this part"></a>' in made
    assert '<a class="here" href="#fig-map" aria-label="Link to this figure"></a></figc' in made


def test_no_text_and_no_id_is_lost_or_twice() -> None:
    made = markup.dressed(PAGE)
    strip = re.compile(r"<[^>]*>")
    assert strip.sub("", made) == strip.sub("", PAGE)
    ids = re.findall(r'\sid="([^"]*)"', made)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', made)) <= set(ids)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.850", 0.85),
        ("\N{MINUS SIGN}0.016 \N{MINUS SIGN}0.036 to +0.004", -0.016),
        ("+1.5", 1.5),
        ("12 %", 12),
        ("under 0.1 %", 0.0999),
        ("over 99.9 %", 99.9999),
        ("3 of 5", 0.6),
        ("0 of 0", None),
        ("19,966", 19966),
        ("at most 57", 57),
        ("54\N{EN DASH}70", 54),
        ("1e-05", 1e-5),
        ("\N{INFINITY}", float("inf")),
        ("\N{EN DASH}", None),
        ("not defined", None),
        ("", None),
    ],
)
def test_the_value_of_a_cell_is_the_number_that_it_states(text: str, value: float | None) -> None:
    found = markup.value(text)
    assert found == (value if value is None else pytest.approx(value, rel=1e-2))


def test_a_rate_that_is_not_0_is_sorted_before_the_next() -> None:
    texts = ["0 %", "under 0.1 %", "0.1 %", "99.9 %", "over 99.9 %", "100 %"]
    values = [markup.value(text) for text in texts]
    assert values == sorted(values, key=lambda one: one or 0.0)
    assert len(set(values)) == len(values)


def test_the_policy_lets_the_own_script_run_and_nothing_else() -> None:
    policy = markup.policy("let a = 1;")
    # computed with: printf 'let a = 1;' | openssl dgst -sha256 -binary | base64
    assert "script-src 'sha256-xY6QKfH9PRsQnLz56nj6MBwiK5oHg+im1Jkpdp1x/Ck=';" in policy
    assert policy.startswith("default-src 'none';")


@pytest.mark.parametrize(
    ("page", "made"),
    [
        ("<p>51 % of 12 hospitals</p>", "<p>51~% of 12 hospitals</p>"),
        ("<p>0.05 s, 3 min and 1,200 MB; 95 % interval</p>",
         "<p>0.05~s, 3~min and 1,200~MB; 95~% interval</p>"),
        ("<p>5 seeds, 5 min_max, a %</p>", "<p>5 seeds, 5 min_max, a %</p>"),
        ("at most 51 %", "at most 51~%"),
        ("<p>5 %</p> 6 % <b>7 %</b>", "<p>5~%</p> 6~% <b>7~%</b>"),
        ('<p title="51 %">51 %</p>', '<p title="51 %">51~%</p>'),
        ("<td>1 %<br>2 % &lt; 3 %</td>", "<td>1~%<br>2~% &lt; 3~%</td>"),
        *[(one, one) for one in (
            "<code>x=5 %</code>", "<pre>5 %\n6 %</pre>", "<style>a{width:5 %}</style>",
            "<script>5 % 3</script>", "<svg><text>5 %</text></svg>", "<!-- 5 % -->",
            '<a data-x="5 % b">c</a>', "5\n%",
        )],
    ],
)  # fmt: skip
def test_no_line_ends_between_a_number_and_its_unit(page: str, made: str) -> None:
    assert markup.unbroken(page) == made.replace("~", "\N{NO-BREAK SPACE}")
