"""Read the published tables as plain CSV, and compute the page's published numbers again from
them."""

import csv
import math
import re

import pandas as pd

from reports.published.tables import FOLDER

MODELS = {
    r["name"]: r
    for r in csv.DictReader(
        (FOLDER / "language_models.csv").read_text(encoding="utf-8").splitlines()
    )
}


ACCURACIES = list(
    csv.DictReader((FOLDER / "accuracies.csv").read_text(encoding="utf-8").splitlines())
)


WIDTHS = {
    "token": lambda m: 1,
    "implied": lambda m: 1.75e14 / 300e9,
    "width": lambda m: int(m["d_model"]),
}
WIDTHS["position"] = lambda m: int(m["d_model"]) * int(m["context"])


MADRY = pd.read_csv(FOLDER / "madry2018.csv")


def recompute(key: str) -> float:
    """Return a published number of the ledger, computed again only from the tables."""
    group, _, rest = key.partition(":")
    if group == "C9":
        *earlier, value = (
            float(ACCURACIES[int(i)]["accuracy"]) for i in re.findall(r"accuracies-(\d+)", rest)
        )
        return value - earlier[0] if earlier else value / 100
    name, _, what = rest.partition(":")
    m = MODELS[name]
    gpt3, p = MODELS["GPT-3 175B"], float(m["parameters"])
    if what in ("d_model", "context"):
        return float(m[what])
    if what.startswith(("parameters, in", "tokens, in")):
        column, _, unit = what.partition(", in ")
        return float(m[column]) / {"billions": 1e9, "trillions": 1e12}[unit]
    found = re.fullmatch(r"(\|?)log10\(n·d / p\)\|?, (\w+)(, on GPT-3 175B's tokens)?", what)
    if found:
        data = gpt3 if found[3] else m
        value = (
            math.log10(float(data["tokens"])) + math.log10(WIDTHS[found[2]](data)) - math.log10(p)
        )
        return abs(value) if found[1] else value

    per_width = p / float(m["tokens"]) / float(m["d_model"])
    return {
        "parameters / (tokens · d_model)": per_width,
        "p / (n·d), width": per_width,
        "p / n": p / float(m["tokens"]),
        "n·d, width": p / per_width,
        "n·d, implied, in trillions": 175,
        "n·d, position": 300e9 * 2048 * 12288,
        "numbers per token trained on, implied": 1750 / 3,
        "numbers per token of the data set, implied": 350,
        "tokens of the data set as the claim has them, in billions": 500,
        "d_model over the numbers implied": 12288 * 3 / 1750,
    }[what]
