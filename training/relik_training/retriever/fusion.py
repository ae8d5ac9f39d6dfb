"""Fitting of the weights that combine dense and lexical features of candidates."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from relik.config import RetrieverConfig
from relik.kb import KnowledgeBase
from relik.retriever.hybrid import HybridRetriever
from relik.types import FloatArray
from relik_training.data.candidates import window_of
from relik_training.data.examples import Example
from relik_training.recipes.retriever_settings import FUSED, Fused


def fit_logistic(
    features: FloatArray, labels: FloatArray, *, steps: int = 25, ridge: float = 1.0
) -> tuple[FloatArray, float]:
    """Fit a logistic regression by Newton's method.

    Args:
        features: Float32, (n, n_features).
        labels: Float32, (n,), 0..1.
        steps: Maximum Newton steps.
        ridge: L2 penalty of the weights, not of the bias.

    Returns:
        Weights, float32, (n_features,), and the bias.
    """
    x = np.concatenate([features, np.ones((len(features), 1))], axis=1).astype(np.float64)
    w = np.zeros(x.shape[1])
    penalty = np.full(x.shape[1], ridge)
    penalty[-1] = 1e-6
    for _ in range(steps):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ w, -30, 30)))
        gradient = x.T @ (p - labels) + penalty * w
        hessian = (x * (p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    return w[:-1].astype(np.float32), float(w[-1])


def fit_fusion(
    examples: Sequence[Example],
    retriever: HybridRetriever,
    kb: KnowledgeBase,
    *,
    top_k: int = 50,
    factors: Mapping[Fused, float] | None = None,
) -> dict[str, float]:
    """Fit the weights of `FusionWeights` on training windows.

    Args:
        examples: Windows with linked mentions; those of one document are consecutive.
        retriever: Computes the features; its own weights do not matter.
        top_k: Dense candidates per window.
        factors: Factors of fitted weights, by name.

    Returns:
        Fields of `FusionWeights`: the weights and `bias`.
    """
    windows = [window_of(example) for example in examples]
    found = retriever.features(windows, retriever.encode(windows), kb, top_k=top_k)
    feature_rows, labels = [], []
    for example, each in zip(examples, found, strict=True):
        gold = {kb.row_of(m.entity_id) for m in example.mentions if m.entity_id}
        feature_rows.append(each.values)
        labels.append(np.isin(each.rows, [row for row in gold if row is not None]))
    weights, bias = fit_logistic(
        np.concatenate(feature_rows), np.concatenate(labels).astype(np.float32)
    )
    by_name = factors or {}
    fitted: dict[str, float] = {
        name: round(float(w) * by_name.get(name, 1.0), 4)
        for name, w in zip(FUSED, weights, strict=True)
    }
    return {**fitted, "bias": round(bias, 4)}


def with_weights(config: RetrieverConfig, weights: dict[str, float]) -> RetrieverConfig:
    """Return settings with the weights of `fit_fusion`."""
    return replace(config, fusion=replace(config.fusion, **weights))
