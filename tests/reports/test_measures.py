"""Lists and alternative columns become one value per row, NaN where a row lacks them.

Run alone: python -m pytest tests/reports/test_measures.py
"""

import math
from typing import Any

import pytest

from reports.evidence import read_evidence
from reports.measures import MEASURES, as_list, pair_distances
from tests.reports.language_rows import token_change
from tests.reports.stores import corruption, make_store, of_schema_2, row


def derived(tmp_path, *rows):
    return (
        read_evidence(make_store(tmp_path / "store", list(rows)))
        .trials.sort_values("p")
        .reset_index(drop=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"robust_linf_radii": [0.1, 0.3, 0.5], "robust_accuracy_linf": [0.9, 0.5, 0.1]},
            {"robust_linf": 0.5, "robust_linf_radius": 0.3},
        ),
        (
            {"robust_linf_radii": [0.5, 0.1], "robust_accuracy_linf": [0.1, 0.9]},
            {"robust_area_linf": 0.5},
        ),
        (
            {
                "robust_linf_radii": [25.5, 76.5],
                "robust_linf_box": [0.0, 255.0],
                "robust_accuracy_linf": [0.9, 0.6],
            },
            {"robust_linf": 0.6, "robust_linf_radius": 0.3, "robust_linf_0.1": 0.9},
        ),
        (
            {"robust_linf_box": None},
            {"robust_linf": math.nan, "robust_area_linf": math.nan, "robust_linf_0.1": math.nan},
        ),
        ({"robust_accuracy_linf": [0.5]}, {"robust_linf": math.nan}),  # not one value per radius
        (
            {"robust_l2_radii": [0.0, 0.07, 0.1], "robust_accuracy_l2": [1.0, 0.5, 0.5]},
            {"robust_l2": 0.5, "robust_l2_radius": 0.07, "robust_area_l2": 0.675},
        ),
        ({"robust_l2_radii": [0.1], "robust_accuracy_l2": [0.4]}, {"robust_area_l2": 0.4}),
        ({"noise_radii": [0.1, 0.3], "noise_flip_rate": [0.1, 0.2]}, {"flip_rate": math.nan}),
        ({"noise_radii": None}, {"flip_rate": math.nan}),
        ({"noise_kl": [0.1, 0.7]}, {"kl_noise": 0.7}),
        ({"noise_kl": [0.1]}, {"kl_noise": math.nan}),
        (
            {"token_changes": [token_change("typo", 8, 1.0), token_change("replaced", 8, 2.0)]},
            {"kl_far_token": 2.0},
        ),
        ({"token_changes": [token_change("replaced", 4, 2.0)]}, {"kl_far_token": math.nan}),
        ({}, {"kl_noise": math.nan, "kl_far_token": math.nan}),
        (
            {"corruptions": [corruption("blur", 2, 0.9), corruption("fog", 3, 0.7)]},
            {"corruption_fog": 0.7},
        ),
    ],
)
def test_lists_become_one_value(tmp_path, changes: dict[str, Any], expected):
    (found,) = derived(tmp_path, row(**changes)).to_dict("records")
    assert {name: found[name] for name in expected} == pytest.approx(expected, nan_ok=True)
    assert ("corruption_blur" in found) == ("corruptions" not in changes)


def test_a_kind_uses_one_estimate_throughout(tmp_path):
    """When one row lacks a steepest pair, its whole kind uses gradients. Another kind keeps its
    pairs."""
    lacking: dict[str, Any] = {"lip_lower_pairs": None, "lip_mean_jacobian": None}
    found = derived(
        tmp_path,
        row(1, lipschitz=3.0),
        row(2, lipschitz=4.0, **lacking),
        row(3, lipschitz=5.0, family="other"),
    )

    assert found["lip_lower"].tolist() == pytest.approx([3.0, 4.0, 6.0])
    assert found["lip_lower_from"].tolist() == [
        "lip_lower_grad",
        "lip_lower_grad",
        "lip_lower_pairs",
    ]
    assert found["lip_mean"].tolist() == pytest.approx([1.5, 2.0, 2.5])


@pytest.mark.slow
def test_rows_of_an_older_schema_have_every_column_and_no_value(tmp_path):
    found = derived(tmp_path, *of_schema_2([row(1), row(2)]))
    for measure in MEASURES:
        known = measure.column in (
            "stability_attack_mean",
            "stability_first_order_mean",
            "flip_rate",
            "lip_lower",
            "lip_mean",
        )
        assert found[measure.column].notna().all() == known, measure
    assert pair_distances(found, "50 %").empty and not [
        c for c in found.columns if c.startswith("corruption_")
    ]


@pytest.mark.slow
def test_pair_distances_by_quantile_and_row(tmp_path):
    found = derived(tmp_path, row(1), row(2, pair_distance_quantiles=[1.0]), row(3))
    assert pair_distances(found, "50 %").to_dict() == {0: 1.4, 2: 1.4} and pair_distances(
        found, "99 %"
    ).to_dict() == {0: 1.9, 2: 1.9}
    assert as_list(None) == [] and as_list(math.nan) == []
