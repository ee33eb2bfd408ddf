"""Cluster-robust standard errors against the textbook's matrices, made in full.

Run alone: python -m pytest tests/reports/fits/test_clustered.py
"""

import numpy as np
import pytest

from reports.fits.clustered import ClusteredFit


@pytest.mark.parametrize("cells", [[4] * 6, [3, 4, 5, 6, 7, 8]])
def test_error_and_freedom_are_those_of_the_full_matrices(cells):
    """Bell & McCaffrey 2002; Pustejovsky & Tipton 2018, equation 11: traces of the covariance of
    the curves' scores, under independent errors and under levels that curves share."""
    rng = np.random.default_rng(3)
    curves = np.split(np.arange(sum(cells)), np.cumsum(cells)[:-1])
    between = np.repeat(rng.standard_normal(len(cells)), cells)
    x = np.column_stack([np.ones(sum(cells)), rng.standard_normal(sum(cells)), between])
    y = rng.standard_normal(sum(cells)) + 2 * np.repeat(rng.standard_normal(len(cells)), cells)
    w = rng.integers(1, 4, sum(cells)).astype(float)
    of = np.array([0.0, 1.0, -1.0])
    found = ClusteredFit(x, y, w, curves).contrast([0.0, 1.0, -1.0])

    root = np.sqrt(w)
    scaled = x * root[:, None]
    bread = np.linalg.inv(scaled.T @ scaled)
    maker = np.eye(len(y)) - scaled @ bread @ scaled.T
    residual = maker @ (y * root)
    columns = []
    for own in curves:
        values, vectors = np.linalg.eigh(maker[np.ix_(own, own)])
        adjust = vectors @ np.diag(values**-0.5) @ vectors.T
        columns.append(maker[:, own] @ adjust @ scaled[own] @ bread @ of)
    p = np.column_stack(columns)
    gram = p.T @ p

    # variances of levels and of cells by moments, with every matrix in full
    levels = np.zeros((len(y), len(cells)))
    for column, own in enumerate(curves):
        levels[own, column] = root[own]
    shared = levels @ levels.T
    moments = [
        [np.trace(maker), np.trace(maker @ shared)],
        [np.trace(maker @ shared), np.trace(maker @ shared @ maker @ shared)],
    ]
    squares = [residual @ residual, residual @ shared @ residual]
    of_cell, of_level = np.linalg.solve(moments, squares)
    with_levels = p.T @ (np.eye(len(y)) + of_level / of_cell * shared) @ p

    assert found.value == pytest.approx(of @ np.linalg.lstsq(scaled, y * root, rcond=None)[0])
    assert found.error**2 == pytest.approx(((p.T @ (y * root)) ** 2).sum())
    assert found.error > 0 and np.allclose(residual @ scaled, 0)
    assert found.of_design == pytest.approx(np.trace(gram) ** 2 / (gram**2).sum())
    assert of_level > of_cell > 0
    assert found.freedom == pytest.approx(np.trace(with_levels) ** 2 / (with_levels**2).sum())
