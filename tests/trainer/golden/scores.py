"""Writes scores.json: what scikit-learn and scipy say about random and degenerate predictions.

    pip install scikit-learn==1.9.1 scipy==1.17.1
    python3 scores.py > scores.json

An undefined score is null; trainer/scores.h counts it as 0.
"""

import json
import math
import warnings

import numpy
import scipy.stats
import sklearn.metrics

warnings.simplefilter("ignore")
random = numpy.random.default_rng(20240607)


def number(value):
    return None if math.isnan(value) else float(value)


def classes(name, predictions, targets):
    predictions = [int(value) for value in predictions]
    targets = [int(value) for value in targets]
    return {
        "name": name,
        "predictions": predictions,
        "targets": targets,
        "f1": float(sklearn.metrics.f1_score(targets, predictions, pos_label=1, zero_division=0)),
        "matthews": float(sklearn.metrics.matthews_corrcoef(targets, predictions)),
    }


def scores(name, predictions, targets):
    predictions = [float(value) for value in predictions]
    targets = [float(value) for value in targets]
    return {
        "name": name,
        "predictions": predictions,
        "targets": targets,
        "pearson": number(scipy.stats.pearsonr(predictions, targets).statistic),
        "spearman": number(scipy.stats.spearmanr(predictions, targets).statistic),
    }


def noisy(targets, share):
    flips = random.random(len(targets)) < share
    return numpy.where(flips, 1 - targets, targets)


def class_cases():
    balanced = random.integers(0, 2, 120)
    rare = (random.random(300) < 0.05).astype(int)
    yield classes("balanced, a fifth wrong", noisy(balanced, 0.2), balanced)
    yield classes("balanced, mostly wrong", noisy(balanced, 0.8), balanced)
    yield classes("chance", random.integers(0, 2, 120), balanced)
    yield classes("rare positives", noisy(rare, 0.1), rare)
    yield classes("all right", balanced, balanced)
    yield classes("all wrong", 1 - balanced, balanced)
    yield classes("always 0", numpy.zeros(120), balanced)
    yield classes("always 1", numpy.ones(120), balanced)
    yield classes("no positive target", balanced, numpy.zeros(120))
    yield classes("only positive targets", balanced, numpy.ones(120))
    yield classes("one sample", [1], [1])


def score_cases():
    uniform = random.random(60) * 5
    fifths = numpy.round(random.random(60) * 25) / 5
    yield scores("near", uniform + random.normal(0, 0.5, 60), uniform)
    yield scores("far", random.normal(0, 1, 60), uniform)
    yield scores("falling", -(uniform**3) + random.normal(0, 9, 60), uniform)
    yield scores("ties in targets", fifths + random.normal(0, 1, 60), fifths)
    yield scores("ties in both", numpy.round(fifths + random.normal(0, 1, 60)), fifths)
    yield scores("equal", fifths, fifths)
    yield scores("opposite", -fifths, fifths)
    yield scores("constant predictions", numpy.full(60, 0.1), fifths)
    yield scores("constant targets", uniform, numpy.full(60, 2.5))
    yield scores("far from zero", 1e6 + uniform + random.normal(0, 0.5, 60), uniform)
    yield scores("large", 1e150 * (uniform + random.normal(0, 1, 60)), uniform)
    yield scores("one outlier", numpy.append(uniform[:-1], 1e6), uniform)
    yield scores("two samples", [1, 2], [3, 7])


if __name__ == "__main__":
    groups = {"classes": class_cases(), "scores": score_cases()}
    lines = [
        f'"{name}": [\n' + ",\n".join(map(json.dumps, cases)) + "\n]"
        for name, cases in groups.items()
    ]
    print("{\n" + ",\n".join(lines) + "\n}")
