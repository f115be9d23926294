"""Is `mixflow advise` right? Asks it about sets × budgets × distances, and compares what it says with a grid.

    python3 configs/foreign/grid.py [--minutes 10] FILE...

FILE is a configuration such as configs/foreign/wine.json, whose own way to sample is Euler's method on the uniform grid. For each, two distances and three budgets are asked about, without
pilots. The grid is Euler's method, midpoint, Heun and DPM-Solver++(2M), each on eight named time grids and on the two grids
fitted to the model, on held-out data, with four seeds that `advise` did not use. Corrections are not in it, but for those of
the advised settings. What was found is kept below runs/advised, and a second call goes on with it.
"""

import argparse
import json
import os
import subprocess
from pathlib import Path

BUDGETS = [5, 10, 20]
SOLVERS = ["euler", "midpoint", "heun", "dpmpp_2m"]
PICTURES, VECTORS = ["frechet_random_convolutions", "frechet_texture"], ["energy_distance", "frechet_vectors"]
OWN = "your own"
WITHIN = 10
PROGRAM = os.environ.get("MIXFLOW", "target/release/mixflow")


def folder(file):
    return Path("runs/advised") / f"{file.parent.name}-{file.stem}"


def metrics(file):
    found = json.loads(file.read_text())
    kind = found.get("data", {}).get("kind")
    return metrics(file.parent / found["extends"]) if kind is None else VECTORS if kind in ["table", "vectors", "csv", "ring"] else PICTURES


def advise(file, metric, minutes):
    where = folder(file) / f"{metric}-{minutes:g}-minutes"
    budgets = ",".join(map(str, BUDGETS))
    # γ = 0 is no pilot: what is asked about is what costs no training.
    settings = ["--set", "gamma_search.gammas=[0]"]
    command = [PROGRAM, "advise", file, "--folder", folder(file), "--evaluations", budgets, "--metric", metric]
    if not (where / "advice.json").exists():
        subprocess.run([*command, "--minutes", str(minutes), *settings], check=True, stdout=subprocess.DEVNULL)
        where.mkdir(parents=True, exist_ok=True)
        (where / "advice.json").write_bytes((folder(file) / "advise/advice.json").read_bytes())
    return json.loads((where / "advice.json").read_text())


def grids(file):
    newest = max((folder(file) / "advise").glob("measured-*.json"), key=lambda path: path.stat().st_mtime)
    measured = json.loads(newest.read_text())
    found = {"uniform": {"kind": "uniform"}}
    found |= {f"shifted {a}": {"kind": "shifted", "shift": {"factor": a}, "last": 1.0} for a in [0.5, 2, 4, 8]}
    found |= {f"u^{e}": {"kind": "power", "exponent": e} for e in [2, 3]}
    found["Karras"] = {"kind": "karras", "rho": 7.0, "sigma_min": 0.002, "sigma_max": 80.0}
    return found | {f"fitted {i + 1}": {"kind": "points", "points": points} for i, points in enumerate(measured["grids"])}


def advised(metric, evaluations):
    return f"advised, {metric}, {evaluations}"


def compare(file, advices):
    samplers = [{"name": OWN}]
    for metric, advice in advices.items():
        for budget in advice["budgets"]:
            if budget["best"] is not None:
                name = advised(metric, budget["evaluations"])
                samplers.append({**budget["best"]["sampler"], "name": name, "evaluations": [budget["evaluations"]]})
    for solver in SOLVERS:
        for grid, times in grids(file).items():
            if (solver, grid) != ("euler", "uniform"):
                samplers.append({"name": f"{solver}, {grid}", "solver": solver, "times": times})
    arm = "no post-training"
    table = {"arms": [{"name": arm, "weights": "start"}], "control": arm, "samplers": samplers}
    table |= {"evaluations": BUDGETS, "seeds": [31, 32, 33, 34]}
    config = folder(file) / "grid-config.json"
    config.write_text(json.dumps({"extends": str(file.resolve()), "compare": table}, indent=2))
    where = folder(file) / "grid"
    subprocess.run([PROGRAM, "compare", config, "--folder", where], check=True, stdout=subprocess.DEVNULL)
    return json.loads((where / "results.json").read_text())["rows"]


def cases(file, advices, rows):
    for metric in advices:
        for evaluations in BUDGETS:
            mine = {r["sampler"]: r for r in rows if (r["metric"], r["evaluations"]) == (metric, evaluations)}
            others = {name: row for name, row in mine.items() if not name.startswith("advised") or name == advised(metric, evaluations)}
            best, own = min(others.values(), key=lambda row: row["mean"]), mine[OWN]
            # Without an advice the way it was is what was advised.
            given = mine.get(advised(metric, evaluations), own)
            # Their mean is the change of the mean distance; its error is that of pairs of the same seed.
            pairs = [(a - b) / best["mean"] for a, b in zip(given["values"], best["values"])]
            above, error = mean(pairs), (sum((p - mean(pairs)) ** 2 for p in pairs) / (len(pairs) - 1) / len(pairs)) ** 0.5
            worse = given["change_from_first_sampler"] or 0
            worse_error = given["change_from_first_sampler_standard_error"] or 0
            yield (file, metric, evaluations, own["mean"], given, best, above, error, worse, worse_error)


def mean(values):
    return sum(values) / len(values)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    arguments = parser.parse_args()
    print("| file | distance | evaluations | your own | advised | best of the grid | advised above the best | against your own |")
    print("|---|---|---|---|---|---|---|---|")
    all_cases = []
    for file in arguments.files:
        advices = {metric: advise(file, metric, arguments.minutes) for metric in metrics(file)}
        for case in cases(file, advices, compare(file, advices)):
            _, metric, evaluations, own, given, best, above, error, worse, worse_error = case
            bold = "**" if above > WITHIN / 100 else ""
            name = "advised" if best is given else best["sampler"]
            print(
                f"| {file.parent.name}/{file.stem} | {metric} | {evaluations} | {own:.3g} | {given['mean']:.3g} | {best['mean']:.3g}, {name} "
                f"| {bold}{100 * above:.0f} ± {100 * error:.0f} %{bold} | {100 * worse:+.0f} ± {100 * worse_error:.0f} % |",
                flush=True,
            )
            all_cases.append(case)
    within = sum(case[6] <= WITHIN / 100 for case in all_cases)
    worse = sum(case[8] > 2 * case[9] and case[8] > 0 for case in all_cases)
    share = 100 * within / len(all_cases)
    print(f"\n{within} of {len(all_cases)} at most {WITHIN} % above the best ({share:.0f} %); {worse} worse than your own beyond two errors.")


if __name__ == "__main__":
    main()
