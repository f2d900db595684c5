"""The glossary of a page: every term that the page uses, and no other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Final

from markupsafe import Markup, escape

from reports.text import safe

PLACE: Final = "<!--glossary-->"  # where a template has the entries
_WORD: Final = re.compile(r"\w")
_NOT_READ: Final = re.compile(
    r"<(style|script|svg|pre|code|title)\b.*?</\1>|<!--.*?-->|<[^>]*>", re.DOTALL
)


@dataclass(frozen=True)
class Entry:
    """A term with what it means. ``spellings``: all forms of it, in small letters.

    In ``text``, ``{drop}`` stands for the loss that the runs of a page call material.
    """

    term: str
    text: str
    spellings: tuple[str, ...]


def _entry(term: str, spellings: str, text: str) -> Entry:
    return Entry(term, text, tuple(spellings.split("|")))


ENTRIES: Final = (
    # what takes part
    _entry(
        "Aggregator", "aggregator|aggregators|aggregator's",
        "The party that collects the hospitals' updates and sends out the shared model.",
    ),
    _entry(
        "Update", "update|updates",
        "What a hospital sends each round: the change of the model's weights after training on its"
        " own records.",
    ),
    _entry(
        "Round", "round|rounds",
        "One exchange: the aggregator sends the model out, hospitals train it and send updates, and"
        " the aggregator makes the next model of them.",
    ),
    _entry(
        "Skipped round", "skipped|rounds skipped",
        "A round that gave no new model, because too few usable replies arrived or because the"
        " aggregation refused them.",
    ),
    _entry(
        "Attack", "attack|attacks",
        "What an adversary does: a hostile hospital, the aggregator, or somebody who has the"
        " finished model.",
    ),
    _entry(
        "Adversary", "adversary|adversaries",
        "Whoever attacks, with what this party can do and knows.",
    ),
    _entry(
        "Hostile, honest", "hostile|honest",
        "A hostile hospital sends what an attack tells it to; an honest one trains on its records"
        " and sends what it is asked for.",
    ),
    _entry(
        "Defense", "defense|defenses|stack",
        "The parts of a design that are meant to hold attacks off: steps and the rule that make one"
        " update of many, secure aggregation, differential privacy. Several parts together are a"
        " stack.",
    ),
    _entry(
        "Rule, step", "rule|rules|aggregation rule|step|steps",
        "The aggregation rule makes one update of those of all hospitals; steps change updates"
        " before the rule.",
    ),
    _entry(
        "Secure aggregation", "secure aggregation|secure sums|masked",
        "The aggregator gets sums of updates, of all hospitals or of groups of them, and no single"
        " one.",
    ),
    _entry(
        "Quantization", "quantization|quantized|quantize",
        "Secure aggregation adds up whole numbers, so that every value of an update is rounded, and"
        " cut where it is too large.",
    ),
    _entry(
        "Control", "control|controls",
        "The run with the same seed without the attack, or without the defense. In a design, a"
        " control is a measure that guards it.",
    ),
    # what is measured
    _entry(
        "AUROC", "auroc",
        "Share of pairs (one patient with the condition, one without) in which the model gives the"
        " first the higher risk. 1 is perfect, 0.5 is guessing.",
    ),
    _entry(
        "Average precision, AUPRC", "average precision|auprc",
        "The precision of the model's warnings, averaged over all shares of patients with the"
        " condition that it can find; guessing gives the share of patients with the condition.",
    ),
    _entry(
        "Sensitivity, specificity", "sensitivity|specificity",
        "The share of patients with the condition that the model recognizes, and the share of"
        " those without it that it leaves alone.",
    ),
    _entry(
        "Accuracy", "accuracy",
        "The share of patients for whom the model decides rightly.",
    ),
    _entry(
        "Brier score", "brier score|brier",
        "Mean squared error of the predicted probability. 0 is perfect; lower is better.",
    ),
    _entry(
        "Seed", "seed|seeds",
        "One repetition, with other random splits, initial weights and batches. Differences are"
        " taken between runs with the same seed.",
    ),
    _entry(
        "95 % interval", "interval|intervals|95 % interval|95 % bounds|clopper and pearson",
        "Student's t interval of the mean over seeds, cut to the range that the figure can have; it"
        " takes seeds to be about normal, which a few that are far apart are not, so read it beside"
        " the worst seed. For shares of records recovered, the exact interval of Clopper and"
        " Pearson; for backdoor rates the same with as many records as seeds that differ so much"
        " leave (Korn and Graubard). Success beyond false triggers is Student's over seeds, never"
        " narrower than the counts of all marked records allow (Agresti and Caffo).",
    ),
    _entry(
        "One-sided bound", "one-sided|at least (95 %)|at most (95 %)",
        "A value that the true figure does not pass in one direction, with 95 % confidence.",
    ),
    _entry(
        "Harm", "harm|harmed|harms|material|materially",
        "Shown where every one of at least two seeds lost {drop} of AUROC or more"
        " (report.material_drop), or the mean did and its interval lies below 0; with a backdoor,"
        " where its success exceeds false triggers by that share of the marked patients. A seed"
        " that left no AUROC counts as lost. That no material loss is shown takes at least three"
        " seeds, none of which lost that much, and an interval that ends below it. All else is not"
        " decided.",
    ),
    _entry(
        "Not decided", "not decided|inconclusive|undecided",
        "These runs show neither the one nor the other; more seeds may decide it.",
    ),
    _entry(
        "Distinguished", "distinguished",
        "The 95 % interval of the difference, paired by seed, excludes 0, or every one of at least"
        " two seeds differs the same way by at least {drop}.",
    ),
    _entry(
        "Points", "percentage points|points beyond",
        "Percentage points: the difference of two shares, both in percent.",
    ),
    _entry(
        "Engaged", "engaged|did nothing",
        "An attack is engaged if it changed what was sent, a defense if it changed what was"
        " aggregated. A run in which one of them did nothing shows nothing about it.",
    ),
    _entry(
        "Adapted", "adapted|adaptive|adapt|knew the defense|knew each defense",
        "An adapted attack knew the defense and chose what to send by trying the defense first.",
    ),
    _entry(
        "Influence", "influence|equal share|equal shares",
        "How much of a small change of a hospital's update reaches the model, as a multiple of the"
        " equal share that the plain mean gives everybody.",
    ),
    _entry(
        "Recall, precision", "recall|precision",
        "Of a rule that leaves hospitals out: recall is the share of the hostile ones that it left"
        " out, precision the share of hostile ones among those left out.",
    ),
    _entry(
        "Breakdown point", "breakdown point|breakdown points|breaks down|breakdown",
        "The smallest number of hostile hospitals with which an attack harms the model under a"
        " defense.",
    ),
    _entry(
        "Pareto front", "pareto front|pareto",
        "The defenses of which no other is better both with nobody attacking and under its worst"
        " attack.",
    ),
    _entry(
        "Backdoor, mark", "backdoor|backdoors|marked|mark",
        "A model with a backdoor puts records that bear a mark into the class that the attacker"
        " wants, and judges others as before.",
    ),
    _entry(
        "False trigger", "false trigger|false triggers|false-trigger",
        "A marked patient whom the model of the run without the attack puts into the attacker's"
        " class.",
    ),
    # privacy
    _entry(
        "Differential privacy, DP", "differential privacy|dp|noised|private training",
        "Clipping and noise that limit how much one record, or one hospital, can show in what is"
        " sent.",
    ),
    _entry(
        "\N{GREEK SMALL LETTER EPSILON}, \N{GREEK SMALL LETTER DELTA}",
        "\N{GREEK SMALL LETTER EPSILON}|\N{GREEK SMALL LETTER DELTA}|epsilon|delta",
        "What differential privacy promises: with another record in place of one patient's, nothing"
        " that is sent is more than e to the power of \N{GREEK SMALL LETTER EPSILON} times as"
        " likely as before, but for a probability of \N{GREEK SMALL LETTER DELTA}. Smaller is"
        " stricter.",
    ),
    _entry(
        "Noise multiplier", "noise multiplier",
        "The standard deviation of the noise, as a multiple of the length to which gradients are"
        " clipped.",
    ),
    _entry(
        "Clipping", "clipping|clipped|clip|clipping norm",
        "Cutting a vector that is longer than the clipping norm to that length: the gradient of"
        " each record before noise is added, or an update; of quantization, each value.",
    ),
    _entry(
        "Sampling rate", "sampling rate",
        "The share of a hospital's records that is in a batch: each is in it by chance, with this"
        " probability.",
    ),
    _entry(
        "One-run audit, f-DP form", "one-run audit|f-dp form|f-dp",
        "Two ways to bound \N{GREEK SMALL LETTER EPSILON} from below by how many guesses about"
        " canaries are right, in a single training. The bound of the one-run audit holds for every"
        " mechanism; that of the f-DP form is larger, and takes the noise to be Gaussian.",
    ),
    _entry(
        "Advantage", "advantage",
        "How much more often a test of who was trained on is right than wrong, at most: 0 is"
        " guessing, 100 % is certainty.",
    ),
    _entry(
        "Reconstruction", "reconstruction|reconstructed|recovered",
        "Patient records worked out from what is sent. A record counts as recovered if every"
        " continuous field is right within 0.1 % and every category is.",
    ),
    _entry(
        "Membership", "membership|auc",
        "Whether a record was trained on. AUC is the share of pairs (one record that was trained"
        " on, one that was not) in which the attack gives the first the higher score: 1 is"
        " certainty, 0.5 is guessing.",
    ),
    _entry(
        "False positives", "false positives|false positive|1 % fpr|tpr",
        "Records that an attack takes for training records though they are none. How many training"
        " records it recognizes (the true positive rate, TPR) is stated at a fixed share of them.",
    ),
    _entry(
        "LiRA", "lira",
        "The likelihood-ratio attack on membership: it compares the model's answer with those of"
        " models that were trained with and without the record.",
    ),
    _entry(
        "Null", "null|shuffled|nothing to find|nothing is to find",
        "What the same attack finds where there is nothing to find: from shuffled updates, or"
        " between records none of which was trained on.",
    ),
    _entry(
        "EMR", "emr|exact match",
        "Exact-match rate: the share of attacked records of which every field was guessed right.",
    ),
    _entry(
        "MSE, PSNR, SSIM", "mse|psnr|ssim",
        "How near a guessed image is to the true one: mean squared error (lower is nearer), peak"
        " signal-to-noise ratio in dB and structural similarity (higher is nearer).",
    ),
    # the register
    _entry(
        "Evidence", "evidence",
        "What runs leave behind: a line of evidence.jsonl each, chained by hashes, so that a line"
        " that is changed later shows.",
    ),
    _entry(
        "Threat, register", "threat|threats|register",
        "A threat is something that can go wrong; the register lists the threats with what the runs"
        " show of each.",
    ),
    _entry(
        "Measured", "measured",
        "A status: there are runs with both controls and enough seeds (three, or two that show"
        " harm), in which attack and defense did something. It states that a figure exists, not"
        " that the figure is good.",
    ),
    _entry(
        "Literature only, not tested, not testable by simulation",
        "literature only|not tested|not testable by simulation|literature",
        "The status of a threat without a run: known from publications alone, open to a run that"
        " was not made, or of a kind that no simulation can show.",
    ),
    _entry(
        "Criterion, verdict", "criterion|criteria|verdict",
        "A criterion is what people ask of a design, stated as a limit on a figure; the verdict"
        " states whether all criteria are met.",
    ),
    _entry(
        "Claim", "claim|claims",
        "What is to be shown. Of a design it is written down with an id before its runs; of private"
        " training it is the \N{GREEK SMALL LETTER EPSILON} that its accounting states, which an"
        " audit tries to refute.",
    ),
    _entry(
        "Grade", "grade|grades",
        "How good the evidence is: E0 literature only, E1 few runs or an attack that did not adapt,"
        " E2 an adapted attack with enough runs and controls, E3 the same on data like the"
        " consortium's.",
    ),
    _entry(
        "Level", "very low|very high|moderate",
        "One of five words of NIST SP 800-30, from very low to very high, looked up in its tables.",
    ),
    _entry(
        "Initiation, adverse impact, likelihood, impact, risk",
        "initiation|adverse impact|risk with the stack|risk without controls",
        "Initiation: how likely it is that an adversary begins. Adverse impact: how likely the"
        " attack then works. Likelihood follows from both. Impact: how large the harm is. Risk"
        " follows from likelihood and impact.",
    ),
    _entry(
        "Power", "powers",
        "Something that an adversary of a design can do, as to change its own updates or to see"
        " those of others.",
    ),
    _entry(
        "STRIDE", "stride",
        "Six kinds of threat: S spoofing (pretending to be somebody), T tampering (changing"
        " something), R repudiation (denying what one did), I information disclosure, D denial of"
        " service, E elevation of privilege (doing more than one may).",
    ),
    _entry(
        "LINDDUN", "linddun",
        "Seven kinds of threat to privacy, from linking and identifying people to disclosing data.",
    ),
    _entry(
        "PASTA", "pasta",
        "A method of threat modeling in seven stages, whose sixth is to try the attacks.",
    ),
    _entry(
        "OWASP, AISVS", "owasp|aisvs",
        "A project for the security of software, with a list of ten attacks on machine learning and"
        " a standard of checks for artificial intelligence (AISVS).",
    ),
    _entry(
        "ATLAS", "atlas",
        "MITRE's list of techniques of attacks on artificial intelligence. (near): the technique"
        " was written for something similar, as no entry covers federated learning.",
    ),
    _entry(
        "NIST", "nist",
        "The U.S. National Institute of Standards and Technology: AI 100-2 names attacks on machine"
        " learning, the AI RMF is a framework for managing risk, SP 800-30 has tables of risk.",
    ),
    _entry(
        "HIPAA", "hipaa|45 cfr",
        "The U.S. law on health information; its rules are sections of title 45 of the Code of"
        " Federal Regulations (45 CFR).",
    ),
    _entry(
        "Relevance: direct, indirect, conditional, contextual",
        "relevance|direct|indirect|conditional|contextual",
        "How closely a provision bears on a threat. Direct: it speaks of what the threat does."
        " Indirect: of something that the threat may lead to. Conditional: only if a stated fact"
        " holds. Contextual: it is part of the surroundings, as in a risk analysis.",
    ),
    _entry(
        "Business associate", "business associate|business associates",
        "Somebody outside a hospital who handles its patients' health information for it, under a"
        " contract that HIPAA asks for.",
    ),
    # how runs are made
    _entry(
        "Lockstep", "lockstep",
        "Many runs are trained side by side in one process; their figures are those of single"
        " runs.",
    ),
    _entry(
        "SHA-256, hash", "sha-256|hash|hashes",
        "A short number that follows from a file or a line; any change of it gives another number.",
    ),
    _entry(
        "Canary", "canary|canaries",
        "A record put into training to see whether an observer can tell that it is there.",
    ),
)  # fmt: skip


def read(page: str) -> str:
    """The text of a page that people read, in small letters, without commands and pictures."""
    text = safe.unmarked(_NOT_READ.sub(" ", page))
    return " ".join(unescape(text).casefold().split())


def used(text: str) -> list[Entry]:
    """The entries whose terms occur in a text of ``read`` or in another entry that is used."""
    found: dict[str, Entry] = {}
    texts = [text]
    while texts:
        new = [entry for entry in ENTRIES if entry.term not in found and _occurs(entry, texts)]
        found |= {entry.term: entry for entry in new}
        texts = [entry.text.casefold() for entry in new]
    return [entry for entry in ENTRIES if entry.term in found]


def filled(page: str, values: Mapping[str, object]) -> str:
    """The page with the entries that it uses where its template has ``PLACE``."""
    if PLACE not in page:
        return page
    drop = values.get("drop")
    shown = f"{drop:g}" if isinstance(drop, float) else "a material share"
    text = read(page)
    lines = [
        Markup('<dt id="{}">{}</dt><dd>{}</dd>').format(
            anchor(entry), entry.term, escape(entry.text.replace("{drop}", shown))
        )
        for entry in sorted(used(text), key=lambda entry: entry.term.casefold())
    ]
    return page.replace(PLACE, "\n".join(lines))


def anchor(entry: Entry) -> str:
    """The id of an entry on a page."""
    return "word-" + re.sub(r"\W+", "-", entry.term.casefold()).strip("-")


def _occurs(entry: Entry, texts: list[str]) -> bool:
    return any(_stands(spelling, text) for text in texts for spelling in entry.spellings)


def _stands(spelling: str, text: str) -> bool:
    """Whether a text has a spelling that no letter or digit goes on from, on either side."""
    at = text.find(spelling)
    while at >= 0:
        end = at + len(spelling)
        if not _WORD.match(text[at - 1 : at]) and not _WORD.match(text[end : end + 1]):
            return True
        at = text.find(spelling, at + 1)
    return False
