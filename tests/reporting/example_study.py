"""A small frozen evaluation folder from synthetic predictions: the same bytes of numbers every time."""

import io
import json
from datetime import datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import polars as pl
from PIL import Image

from xray_mining.records import evaluation_tables as tables
from xray_mining.records.check_results import CheckResults
from xray_mining.records.estimates import Estimates, Pictures
from xray_mining.records.ledger import Ledger
from xray_mining.workspace import write_json

MODELS = {  # name: (model, kind, how much of the age it sees, error of its own)
    "centre": ("centre", "null", 0.0, 0.0),
    "metadata": ("metadata", "null", 0.1, 4.0),
    "texture_boosting": ("boosting", "baseline", 0.62, 6.0),
    "texture_ridge": ("ridge", "baseline", 0.55, 6.5),
    "embedding_ridge": ("frozen", "frozen", 0.8, 6.0),
    "convnext": ("network", "network", 0.88, 5.0),
    "true_anatomy": ("oracle", "oracle", 0.95, 2.5),
}
AGE = {"task": "example-age/age_years", "cohort": "example-age", "digest": "a" * 32, "target": "age_years"}
GROUP = {"task": "example-g2_vs_g3/group", "cohort": "example-g2_vs_g3", "digest": "b" * 32, "target": "group"}
PATIENTS = 400


def write_example(folder: Path, maker: str = "Acme <script>alert(1)</script> & Sons") -> Path:
    """Write the folder; `maker` stands wherever a maker's name can stand."""
    rng = np.random.default_rng(20170613)
    age = rng.uniform(20, 80, PATIENTS)
    sex = np.where(rng.random(PATIENTS) < 0.5, "F", "M")
    guesses = {
        name: 50 + seen * (age - 50) + rng.normal(0, own or 1e-9, PATIENTS)
        for name, (_, _, seen, own) in MODELS.items()
    }
    old = age > 50
    chances = {name: 1 / (1 + np.exp(-(guess - 50) / 7)) for name, guess in guesses.items()}
    estimates = _age_estimates(age, sex, guesses, maker) + _group_estimates(old, sex, chances, maker)
    Estimates.write(Estimates.from_rows(estimates), folder / "estimates.parquet")
    CheckResults.write(CheckResults.from_rows(_checks(maker)), folder / "check_results.parquet")
    Pictures.write(Pictures.from_rows(_pictures()), folder / "pictures.parquet")
    Ledger.write(Ledger.from_rows(_ledger()), folder / "ledger.parquet")
    for record, rows in {
        tables.ScatterPoints: _scatter(age, sex, guesses),
        tables.ErrorByAge: _error_by_age(age, sex, guesses),
        tables.RocPoints: _roc(old, chances),
        tables.CalibrationBins: _calibration(old, chances),
        tables.Confusion: _confusion(old, chances),
        tables.TableOne: _table_one(age, sex, old, maker),
        tables.AuditRows: _audits(maker),
    }.items():
        record.write(record.from_rows(rows), folder / f"{record.table}.parquet")
    _notes(folder, maker)
    return folder


def named(task: dict, model: str) -> str:
    return f"{'age' if task is AGE else 'group'}_{model}"


def _mean(values: np.ndarray) -> tuple[float, float, float]:
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def _estimate(task: dict, experiment: str, metric: str, value, low=None, high=None, **more) -> dict:
    if more.get("baseline"):
        more["baseline"] = named(task, more["baseline"])
    return {
        "study": "example",
        "experiment": named(task, experiment),
        "experiment_digest": experiment[:1] * 32,
        "model_kind": MODELS[experiment][1],
        "cohort_digest": task["digest"],
        "baseline": "",
        "target": task["target"],
        "class": "",
        "metric": metric,
        "unit": "",
        "level": "image",
        "variant": "",
        "subgroup": "all",
        "split": "test",
        "patients": PATIENTS,
        "images": PATIENTS,
        "value": float(value),
        "low": low,
        "high": high,
        "method": "bootstrap of patients, BCa, 2000 draws" if task is AGE else "DeLong, logit scale",
        "family": "",
    } | more


def _age_estimates(age, sex, guesses, maker) -> list[dict]:
    rows = []
    centre_error = np.abs(guesses["centre"] - age).mean()
    for name, guess in guesses.items():
        error = guess - age
        mae, low, high = _mean(np.abs(error))
        rows.append(_estimate(AGE, name, "mae", mae, low, high))
        rows.append(_estimate(AGE, name, "rmae", mae / centre_error, low / centre_error, high / centre_error))
        square = _mean(error**2)
        rows.append(_estimate(AGE, name, "rmse", *np.sqrt(np.maximum(square, 0))))
        rows.append(_estimate(AGE, name, "bias", *_mean(error)))
        slope = float(np.cov(age, guess)[0, 1] / age.var(ddof=1))
        rows.append(_estimate(AGE, name, "slope_on_truth", slope, slope - 0.05, slope + 0.05))
        r2 = 1 - (error**2).mean() / age.var()
        rows.append(_estimate(AGE, name, "r2", r2, r2 - 0.03, r2 + 0.03))
        spread = error.std(ddof=1)
        for metric, side in (("limit_low", -1.96), ("limit_high", 1.96)):
            limit = error.mean() + side * spread
            rows.append(_estimate(AGE, name, metric, limit, limit - 0.5, limit + 0.5))
        between = (np.abs(error - error.mean()) <= 1.96 * spread).astype(float)
        rows.append(_estimate(AGE, name, "within_limits", *_mean(between)))
        rows.append(_estimate(AGE, name, "within_5", *_mean((np.abs(error) <= 5).astype(float))))
        for baseline in ("texture_boosting", "embedding_ridge", "metadata"):
            if baseline != name and name not in ("centre", "metadata"):
                apart = _mean(np.abs(error) - np.abs(guesses[baseline] - age))
                p = 0.0002 if apart[1] * apart[2] > 0 else 0.31
                more = {"baseline": baseline, "p_value": p, "p_adjusted": min(1.0, 3 * p), "family": "age"}
                rows.append(_estimate(AGE, name, "mae", *apart, **more))
    error = guesses["convnext"] - age
    for subgroup, chosen in {
        "patient_sex=F": sex == "F",
        "patient_sex=M": sex == "M",
        "age_band=20 to 29": age < 30,
        "age_band=30 to 39": (age >= 30) & (age < 40),
        "age_band=70 to 79": age >= 70,
        f"manufacturer={maker}": np.arange(PATIENTS) % 3 == 0,
        "patient_sex=F & age_band=20 to 29": (age < 30) & (sex == "F"),
    }.items():
        more = {"subgroup": subgroup, "patients": int(chosen.sum()), "images": int(chosen.sum())}
        rows.append(
            _estimate(AGE, "convnext", "mae", *_mean(np.abs(error[chosen])), p_value=0.2, p_adjusted=0.8, **more)
        )
        rows.append(_estimate(AGE, "convnext", "bias", *_mean(error[chosen]), p_value=0.2, p_adjusted=0.8, **more))
    return rows


def _auc(old, score) -> float:
    return float(np.mean((score[old][:, None] > score[~old]) + 0.5 * (score[old][:, None] == score[~old])))


def _group_estimates(old, sex, chances, maker) -> list[dict]:
    rows = []
    for name, chance in chances.items():
        auc = _auc(old, chance)
        caution = "AUC near 1" if auc > 0.98 else None
        rows.append(_estimate(GROUP, name, "auc", auc, max(auc - 0.03, 0), min(auc + 0.02, 1), caution=caution))
        rows.append(_estimate(GROUP, name, "brier", *_mean((chance - old) ** 2)))
        rows.append(_estimate(GROUP, name, "calibration_slope", 0.93, 0.8, 1.1))
        rows.append(_estimate(GROUP, name, "ece", 0.04, 0.02, 0.06))
        for point, cut in (("youden", 0.5), ("sensitivity 0.9", 0.35)):
            more = {"operating_point": point, "threshold": cut}
            rows.append(_estimate(GROUP, name, "sensitivity", *_mean((chance[old] > cut).astype(float)), **more))
            rows.append(_estimate(GROUP, name, "specificity", *_mean((chance[~old] <= cut).astype(float)), **more))
        if name not in ("centre", "metadata", "texture_boosting"):
            apart = auc - _auc(old, chances["texture_boosting"])
            more = {"baseline": "texture_boosting", "p_value": 0.004, "p_adjusted": 0.012, "family": "group"}
            rows.append(_estimate(GROUP, name, "auc", apart, apart - 0.02, apart + 0.02, **more))
    for level in ("F", "M"):
        chosen = sex == level
        more = {"subgroup": f"patient_sex={level}", "patients": int(chosen.sum())}
        auc = _auc(old[chosen], chances["convnext"][chosen])
        rows.append(_estimate(GROUP, "convnext", "auc", auc, auc - 0.04, min(auc + 0.03, 1), **more))
    return rows


def _checks(maker: str) -> list[dict]:
    def check(code, severity, outcome, title, sentence, section, evidence="[]", offenders=""):
        return {
            "subject": "example",
            "code": code,
            "severity": severity,
            "outcome": outcome,
            "title": title,
            "sentence": sentence,
            "section": section,
            "evidence": evidence,
            "offenders": offenders,
        }

    return [
        check("GATE001", "error", "passed", "patients in several folds", "Each patient is in one fold.", "flow"),
        check(
            "SHORT001",
            "warning",
            "failed",
            "The maker predicts the target",
            f"{maker} alone reaches an AUC of 0.71 (0.66 to 0.76) for the group.",
            "subgroups",
            json.dumps([{"manufacturer": maker, "positives": 61, "patients": 133}]),
            "1",
        ),
        check("SITE001", "warning", "not_applicable", "The site predicts the target", "There is one site.", ""),
        check("NOISE001", "note", "skipped", "Suspect labels", "Fewer than two rotations were run.", ""),
    ]


def _chest(age: float, woman: bool, size: int = 128) -> bytes:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    body = 0.62 * np.exp(-((np.abs(x) / 0.98) ** 8))
    wide = 0.36 - 0.0006 * (age - 20) - 0.02 * woman
    for side in (-1, 1):
        lung = ((x - side * 0.42) / wide) ** 2 + ((y + 0.08) / 0.72) ** 2
        body = body - 0.42 / (1 + np.exp((lung - 1) * 9))
    heart = ((x - 0.14) / (0.27 + 0.0016 * (age - 20))) ** 2 + ((y - 0.36) / 0.34) ** 2
    body = np.maximum(body, 0.66 / (1 + np.exp((heart - 1) * 8))) + 0.22 * np.exp(-((x / 0.09) ** 2))
    body = body + 0.05 * np.sin(21 * (y + 0.35 * np.abs(x))) * (np.abs(x) < 0.85)
    stream = io.BytesIO()
    Image.fromarray((255 * np.clip(body, 0, 1)).astype(np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def _pictures() -> list[dict]:
    rows = []
    for place, (who, years) in enumerate((who, years) for who in ("Males", "Females") for years in range(25, 80, 10)):
        rows.append(
            {
                "study": "example",
                "kind": "average",
                "label": f"{who}, {years}",
                "section": "average_images",
                "order": place,
                "experiment": "",
                "image_key": None,
                "images": 40 + place,
                "png": _chest(years, who == "Females"),
            }
        )
    cases = {
        "best": [(34.2, 34.3), (61.0, 61.1)],
        "median": [(45.0, 49.1), (70.2, 66.0)],
        "worst": [(24.1, 44.8), (78.9, 60.2)],
    }
    order = 0
    for which, pairs in cases.items():
        for truth, value in pairs:
            rows.append(
                {
                    "study": "example",
                    "kind": "case",
                    "label": f"{which}: true {truth:.0f}, predicted {value:.0f}",
                    "section": "cases",
                    "order": order,
                    "experiment": "age_convnext",
                    "image_key": str(UUID(int=order + 1)),
                    "images": 1,
                    "png": _chest(truth, order % 2 == 0),
                }
            )
            order += 1
    return rows


def _ledger() -> list[dict]:
    stages = [("ingest", "phantom", 41.0), ("cohort", "example-age", 0.4), ("features", "example-age", 63.0)]
    stages += [("train", f"example/{name}", 3.0 + place) for place, name in enumerate(MODELS)]
    stages += [("evaluate", "example", 8.0)]
    return [
        {
            "run": f"20260101T0000{place:02d}-00000000",
            "stage": stage,
            "subject": subject,
            "command": f"xray-mining {stage} {subject}",
            "started": datetime(2026, 1, 1, 8, place),
            "seconds": seconds,
            "inputs": "{}",
            "outputs": "{}",
            "options": "{}",
            "versions": "{}",
            "outcome": "done",
        }
        for place, (stage, subject, seconds) in enumerate(stages)
    ]


def _scatter(age, sex, guesses) -> list[dict]:
    return [
        {
            "experiment": named(AGE, name),
            "target": "age_years",
            "unit": unit,
            "image_key": str(UUID(int=unit)),
            "truth": float(age[unit]),
            "value": float(guess[unit]),
            "patient_sex": str(sex[unit]),
            "view_position": "PA",
            "age_band": None,
        }
        for name, guess in guesses.items()
        for unit in range(PATIENTS)
    ]


def _error_by_age(age, sex, guesses) -> list[dict]:
    rows = []
    for name, guess in guesses.items():
        for who in ("all", "F", "M"):
            for low in range(20, 80, 10):
                chosen = (age >= low) & (age < low + 10) & ((sex == who) | (who == "all"))
                error = (guess - age)[chosen]
                bias, mae = _mean(error), _mean(np.abs(error))
                rows.append(
                    {
                        "experiment": named(AGE, name),
                        "target": "age_years",
                        "patient_sex": who,
                        "age": low + 5.0,
                        "age_low": float(low),
                        "age_high": low + 10.0,
                        "patients": int(chosen.sum()),
                        "images": int(chosen.sum()),
                    }
                    | dict(zip(("bias", "bias_low", "bias_high"), bias, strict=True))
                    | dict(zip(("mae", "mae_low", "mae_high"), mae, strict=True))
                )
    return rows


def _roc(old, chances) -> list[dict]:
    rows = []
    for name, chance in chances.items():
        cuts = np.quantile(chance[~old], np.linspace(1, 0, 51))
        for cut, false in zip(cuts, np.linspace(0, 1, 51), strict=True):
            hit = 1.0 if false == 1 else float((chance[old] > cut).mean())
            half = 1.96 * np.sqrt(hit * (1 - hit) / old.sum())
            rows.append(
                {
                    "experiment": named(GROUP, name),
                    "target": "group",
                    "class": "",
                    "false_positive_rate": float(false),
                    "sensitivity": hit,
                    "low": max(hit - half, 0.0),
                    "high": min(hit + half, 1.0),
                }
            )
    return rows


def _calibration(old, chances) -> list[dict]:
    rows = []
    for name, chance in chances.items():
        for number, chosen in enumerate(np.array_split(np.argsort(chance), 10)):
            share = float(old[chosen].mean())
            half = 1.96 * np.sqrt(share * (1 - share) / len(chosen))
            rows.append(
                {
                    "experiment": named(GROUP, name),
                    "target": "group",
                    "class": "",
                    "calibrated": False,
                    "bin": number,
                    "predicted": float(chance[chosen].mean()),
                    "observed": share,
                    "low": max(share - half, 0.0),
                    "high": min(share + half, 1.0),
                    "patients": len(chosen),
                    "images": len(chosen),
                }
            )
    return rows


def _confusion(old, chances) -> list[dict]:
    rows = []
    for name, chance in chances.items():
        for point, cut in (("youden", 0.5), ("sensitivity 0.9", 0.35)):
            for truth, is_old in (("G2", False), ("G3", True)):
                for predicted, called in (("G2", False), ("G3", True)):
                    cell = int(((old == is_old) & ((chance > cut) == called)).sum())
                    rows.append(
                        {
                            "experiment": named(GROUP, name),
                            "target": "group",
                            "operating_point": point,
                            "threshold": cut,
                            "truth": truth,
                            "predicted": predicted,
                            "images": cell,
                            "patients": cell,
                        }
                    )
    return rows


def _table_one(age, sex, old, maker) -> list[dict]:
    rows = []

    def row(task, column, place, variable, order, **more):
        empty = dict.fromkeys(("share", "mean", "deviation", "median", "quarter", "three_quarters"))
        rows.append(
            {
                "cohort": task["cohort"],
                "cohort_digest": task["digest"],
                "column": column,
                "column_order": place,
                "variable": variable,
                "variable_order": order,
                "unit": "",
                "level": "",
                "level_order": 0,
                "patients": 0,
                "images": 0,
                "standardised_difference": 0.04 * (order + 1) if task is GROUP else None,
                "hidden": False,
            }
            | empty
            | more
        )

    columns = {
        AGE["cohort"]: {
            "all": np.ones(PATIENTS, bool),
            "train": np.arange(PATIENTS) % 2 == 0,
            "test": np.arange(PATIENTS) % 2 == 1,
        },
        GROUP["cohort"]: {"all": np.ones(PATIENTS, bool), "G2": ~old, "G3": old},
    }
    for task in (AGE, GROUP):
        for place, (column, chosen) in enumerate(columns[task["cohort"]].items()):
            years, total = age[chosen], int(chosen.sum())
            quarter, median, three = (float(value) for value in np.quantile(years, (0.25, 0.5, 0.75)))
            row(
                task,
                column,
                place,
                "age_years",
                0,
                unit="years",
                patients=total,
                images=total,
                mean=float(years.mean()),
                deviation=float(years.std()),
                median=median,
                quarter=quarter,
                three_quarters=three,
            )
            for order, level in enumerate(("F", "M")):
                number = int((sex[chosen] == level).sum())
                row(
                    task,
                    column,
                    place,
                    "patient_sex",
                    1,
                    level=level,
                    level_order=order,
                    patients=number,
                    images=number,
                    share=number / total,
                )
            makers = np.where(np.arange(PATIENTS) % 3 == 0, maker, "Northern Films")[chosen]
            for order, level in enumerate((maker, "Northern Films")):
                number = int((makers == level).sum())
                row(
                    task,
                    column,
                    place,
                    "manufacturer",
                    2,
                    level=level,
                    level_order=order,
                    patients=number,
                    images=number,
                    share=number / total,
                )
            row(task, column, place, "manufacturer", 2, level="not known", level_order=9, hidden=True)
    return rows


def _audits(maker: str) -> list[dict]:
    return [
        {
            "code": "SHORT001",
            "audit": "shortcut",
            "experiment": "group_metadata",
            "target": "group",
            "attribute": "manufacturer",
            "label": maker,
            "metric": "auc",
            "value": 0.71,
            "low": 0.66,
            "high": 0.76,
            "patients": 133,
            "p_value": 0.0001,
            "p_adjusted": 0.0004,
            "words": f"{maker} alone ranks the group with an AUC of 0.71.",
        }
    ]


def _notes(folder: Path, maker: str) -> None:
    def task(of: dict, kind: str, **more) -> dict:
        return {
            "task": of["task"],
            "cohort": of["cohort"],
            "cohort_digest": of["digest"],
            "target": of["target"],
            "kind": kind,
            "unit": "years" if kind == "number" else "",
            "is_age": kind == "number",
            "positive": "" if kind == "number" else "G3",
            "classes": [] if kind == "number" else ["G2", "G3"],
            "level": "image",
            "patients": PATIENTS,
            "images": PATIENTS,
            "rotations": 1,
            "experiments": [named(of, model) for model in MODELS],
            "best": named(of, "convnext"),
            "best_baseline": named(of, "texture_boosting"),
            "frozen": named(of, "embedding_ridge"),
            "best_null": named(of, "metadata"),
            "centre": named(of, "centre"),
            "oracle": named(of, "true_anatomy"),
            "smallest_rival": named(of, "texture_boosting"),
            "smallest_rival_role": "best_baseline",
            "chosen": "apart",
            "unanswered": {"test": 3} if kind == "binary" else {},
        } | more

    experiments = [
        {
            "experiment": named(of, name),
            "model": model,
            "model_kind": kind,
            "task": of["task"],
            "cohort": of["cohort"],
            "target": of["target"],
            "digest": name[:1] * 32,
            "seeds": [0],
            "rotations": [0],
            "licences": {"tf_efficientnet_lite0": "Apache-2.0"} if kind == "frozen" else {},
            "members": [],
            "seconds": 3.5,
            "validation_score": 6.0,
            "outcome": "done",
        }
        for of in (AGE, GROUP)
        for name, (model, kind, _, _) in MODELS.items()
    ]
    write_json(
        {
            "format": 1,
            "study": "example",
            "question": "How well can age, and being over fifty, be read from a frontal chest radiograph?",
            "statements": {
                "intended_use": "",
                "reference_standard": "",
                "limitations": "",
                "ethics": "",
                "funding": "",
            },
            "confidence": 0.95,
            "bootstraps": 2000,
            "least_patients": 10,
            "age_band_years": 10,
            "pictures": {"left_out": 12, "not_looked_at": 0},
            "written": "2026-01-01T08:30:00Z",
            "tasks": [
                task(AGE, "number", metric="mae", smallest_difference=0.41),
                task(GROUP, "binary", metric="auc", smallest_difference=0.012),
            ],
            "experiments": experiments,
        },
        folder / "study.json",
    )
    sentences = {
        AGE["task"]: [
            "On 400 patients it had never seen, convnext reads age with a mean error of 5.0 years (4.6 to 5.3), where "
            "guessing the centre errs by 15.1 years.",
            "The best handcrafted model, texture boosting, errs by 7.3 years (6.8 to 7.8); the difference of 2.4 years "
            "(1.9 to 2.9) is beyond chance.",
        ],
        GROUP["task"]: [
            "Convnext tells G3 from G2 with an AUC of 0.985 (0.955 to 1.000).",
            "The maker of the device alone reaches an AUC of 0.71, so part of the answer may be a shortcut.",
        ],
    }
    write_json(
        {
            "answers": [
                {"task": name, "target": name.partition("/")[2], "sentences": said, "text": " ".join(said)}
                for name, said in sentences.items()
            ]
        },
        folder / "answer.json",
    )
    steps = [
        ("eligible", "frontal radiographs of known age and sex, kept and not near-duplicates", 2140, 2000),
        ("latest", "latest image of a patient", 2000, 2000),
        ("in_range", "age from 20 to 79", 1688, 1688),
        ("balanced", "the same number of men and women per year of age", 1200, 1200),
    ]
    cohort = {
        "query": "age_balanced",
        "sql": "-- question: age from the image\nselect image_key, age_years\nfrom balanced\nwhere age_years < 80",
        "parameters": {"per_cell": 10, "maker": maker},
        "salt": "example",
        "folds": 5,
        "split_given": False,
        "catalog_digest": "c" * 32,
        "store": "square512-0a1b2c",
        "sentences": ["In 3 of 60 years of age there were fewer than 10 women."],
        "targets": [],
        "steps": [
            {"step": step, "words": words, "images": images, "studies": images, "patients": patients}
            for step, words, images, patients in steps
        ],
        "ages": [
            {"sex": sex, "band": f"{low} to {low + 9}", "patients": None if low == 70 else 60 + low // 2}
            for sex in ("F", "M")
            for low in range(20, 80, 10)
        ],
        "roles": [
            {"role": "train", "images": 600, "patients": 600},
            {"role": "validation", "images": 200, "patients": 200},
            {"role": "test", "images": 400, "patients": 400},
        ],
        "experiments": [named(AGE, model) for model in MODELS],
    }
    cohorts = [cohort | {"cohort": of["cohort"], "digest": of["digest"]} for of in (AGE, GROUP)]
    cohorts[1] |= {"query": "g2_vs_g3", "experiments": [named(GROUP, model) for model in MODELS]}
    write_json({"cohorts": cohorts}, folder / "flow.json")
    write_json(
        {
            "study": {"study": "example", "question": "How well?", "design": {"rotations": "hold_out", "seeds": [0]}},
            "study_digest": "d" * 32,
            "versions": {"numpy": "2.0", "scikit-learn": "1.7"},
            "cohorts": [],
            "experiments": [{"experiment": name, "options": {"model": model[0]}} for name, model in MODELS.items()],
            "licences": {"tf_efficientnet_lite0": "Apache-2.0"},
            "seeds": [0],
            "test_reads": [
                {"experiment": named(AGE, name), "target": "age_years", "files": 1, "evaluations": 1} for name in MODELS
            ],
            "commands": ["xray-mining ingest phantom", "xray-mining run example"],
            "written": "2026-01-01T08:30:00Z",
        },
        folder / "provenance.json",
    )


if __name__ == "__main__":
    import sys

    print(write_example(Path(sys.argv[1])), pl.__version__)
