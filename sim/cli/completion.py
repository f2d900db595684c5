"""``wardround completion``: what a shell needs to complete the command's words, and the words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from sim.config.choices import NONE, groups, options
from sim.config.stated import keys
from sim.config.words import COMMANDS, FOLDERS, HYDRA_COMMANDS, JSON, LAUNCHER, LAUNCHERS, VALIDATE
from sim.errors import InputError
from sim.near import choice

WORDS: Final = "--words"
USAGE: Final = """\
wardround completion bash|zsh|fish  print what makes this shell complete the command's words

  bash: eval "$(wardround completion bash)"          in ~/.bashrc
  zsh:  eval "$(wardround completion zsh)"           in ~/.zshrc, after compinit
  fish: wardround completion fish | source           in ~/.config/fish/config.fish
"""
# Bash takes = for the end of a word, so that only what follows it is replaced.
SCRIPTS: Final = {
    "bash": """\
_wardround() {
  local word="${COMP_LINE:0:COMP_POINT}"
  word="${word##* }"
  mapfile -t COMPREPLY < <(wardround completion --words "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
  local known="${word%"${word##*=}"}"
  if [[ $COMP_WORDBREAKS == *=* ]]; then
    COMPREPLY=("${COMPREPLY[@]#"$known"}")
  fi
}
complete -o nospace -o default -F _wardround wardround
""",
    "zsh": """\
_wardround() {
  local -a found
  found=("${(@f)$(wardround completion --words "${LBUFFER}" 2>/dev/null)}")
  if [[ -n ${found[1]} ]]; then
    compadd -Q -S '' -- "${found[@]}"
  else
    _files
  fi
}
compdef _wardround wardround
""",
    "fish": """\
function __wardround
    wardround completion --words (commandline --cut-at-cursor | string collect) 2>/dev/null
end
complete --command wardround --arguments '(__wardround)'
""",
}
LISTS: Final = {"attacks": "attack", "defenses": "defense"}  # of a comparison: whose choices
OF_FILES: Final = {  # what else a command reads, beside the files that every one reads
    "compare": ("compare.yaml",),
    "explain": ("compare.yaml",),
    "audit": ("audit.yaml",),
    VALIDATE: ("validate.yaml",),
}
FLAGS: Final = {
    VALIDATE: ("--plan", JSON),
    **dict.fromkeys(("compare", "explain", "audit"), (JSON,)),
    "run": ("-m", JSON),
}


def completion(words: Sequence[str]) -> None:
    """Print the script of a shell, or the words that a line can go on with.

    Raises ``InputError`` for another shell.
    """
    if "--help" in words or "-h" in words:
        print(USAGE, end="")
    elif len(words) == 2 and words[0] == WORDS:
        for word in candidates(words[1]):
            print(word)
    elif len(words) == 1 and words[0] in SCRIPTS:
        print(SCRIPTS[words[0]], end="")
    else:
        given = " ".join(words)
        expected = f"expected {choice(given, tuple(SCRIPTS))}"
        raise InputError("completion", given or "nothing", expected)


def candidates(line: str) -> list[str]:
    """The completions of the last word of a line, up to the cursor: whole words, sorted."""
    before, _, word = line.lstrip().rpartition(" ")
    given = before.split()[1:]
    if not given:
        found = list(COMMANDS)
    elif given[0] in (*HYDRA_COMMANDS, VALIDATE):
        found = list(_of_value(word) if "=" in word else _of_key(given[0]))
    else:
        found = list(_of_others(given))
    return sorted({one for one in found if one.startswith(word)})


def _of_key(command: str) -> Iterator[str]:
    """The keys that a command can be given, and its flags."""
    yield from FLAGS.get(command, ())
    yield from ("--help", "--cfg", "--config-dir")
    yield from (f"{group}=" for group in groups())
    files = ["config.yaml", *OF_FILES.get(command, ())]
    yield from (f"{key.name}=" for file in files for key in keys(file))
    for group in ("training", "adversary"):
        yield from (f"{group}.{key.name}=" for key in keys(f"{group}/default.yaml"))
    yield from (f"{folder}=" for folder in FOLDERS)
    yield f"{LAUNCHER}="


def _of_value(word: str) -> Iterator[str]:
    """The values of a key that has choices; the last one of a list, or of a stack."""
    key, _, value = word.partition("=")
    group = LISTS.get(key, key)
    if key == LAUNCHER:
        known = list(LAUNCHERS)
    elif group in groups():
        known = options(group)
    else:
        known = _alternatives(key)
    last = max(value.rfind(sign) for sign in "[,+")
    known = known if last < 0 else [name for name in known if name != NONE]
    yield from (f"{key}={value[: last + 1]}{name}" for name in known)


def _alternatives(key: str) -> list[str]:
    """The values that the comment beside a key lists: ``keep | count_as_hostile: ...``."""
    group, _, rest = key.partition(".")
    own = group in ("training", "adversary")
    stated = keys(f"{group}/default.yaml" if own else "config.yaml")
    name = rest if own else key
    for one in stated:
        if one.name == name and " | " in one.meaning:
            return [part.split()[0].rstrip(":") for part in one.meaning.split(" | ")]
    return []


def _of_others(given: Sequence[str]) -> Iterator[str]:
    """What follows the words of a command that takes no key."""
    if given == ["new"]:
        yield from ("rule", "attack")
    elif given == ["completion"]:
        yield from SCRIPTS
    elif given == ["init"]:
        yield "--schema"
    elif given[0] == "list":
        yield from (*groups(), "threats")
