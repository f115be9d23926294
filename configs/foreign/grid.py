"""Was `mixflow advise` right? Writes a comparison of the advised setting with a grid of solvers and time grids, and reads it.

    python3 configs/foreign/grid.py write NAME...   # after `mixflow advise configs/foreign/NAME.json --evaluations 10`
    mixflow compare runs/foreign-NAME-grid.json --folder runs/foreign-NAME-grid
    python3 configs/foreign/grid.py read NAME...

The grid is Euler's method, midpoint, Heun and DPM-Solver++(2M), each on eight named time grids and on the two grids fitted to the
model, at 10 evaluations, on held-out data, with four seeds that `advise` did not use. Corrections are not in it, but for those
of the advised setting.
"""

import json
import sys
from pathlib import Path

EVALUATIONS = 10
SOLVERS = ["euler", "midpoint", "heun", "dpmpp_2m"]
OWN, ADVISED = "your own", "advised"


def grids(name):
    measured = json.loads(next(Path(f"runs/foreign-{name}/advise").glob("measured-*.json")).read_text())
    found = {"uniform": {"kind": "uniform"}}
    found |= {f"shifted {a}": {"kind": "shifted", "shift": {"factor": a}, "last": 1.0} for a in [0.5, 2, 4, 8]}
    found |= {f"u^{e}": {"kind": "power", "exponent": e} for e in [2, 3]}
    found["Karras"] = {"kind": "karras", "rho": 7.0, "sigma_min": 0.002, "sigma_max": 80.0}
    found |= {f"fitted {i + 1}": {"kind": "points", "points": points} for i, points in enumerate(measured["grids"])}
    return found


def write(name):
    best = json.loads(Path(f"runs/foreign-{name}/advise/advice.json").read_text())["budgets"][0]["best"]
    samplers = [{"name": OWN}]
    if best is not None:
        samplers.append({**best["sampler"], "name": ADVISED})
    for solver in SOLVERS:
        for grid, times in grids(name).items():
            if (solver, grid) != ("euler", "uniform"):
                samplers.append({"name": f"{solver}, {grid}", "solver": solver, "times": times})
    arm = "no post-training"
    compare = {"arms": [{"name": arm, "weights": "start"}], "control": arm, "samplers": samplers}
    compare |= {"evaluations": [EVALUATIONS], "seeds": [31, 32, 33, 34]}
    file = {"extends": f"../configs/foreign/{name}.json", "compare": compare}
    Path(f"runs/foreign-{name}-grid.json").write_text(json.dumps(file, indent=2, ensure_ascii=False))


def read(name):
    metric = json.loads(Path(f"runs/foreign-{name}/advise/advice.json").read_text())["metric"]
    results = json.loads(Path(f"runs/foreign-{name}-grid/results.json").read_text())
    rows = {row["sampler"]: row for row in results["rows"] if row["metric"] == metric}
    best = min(rows.values(), key=lambda row: row["mean"])
    # Without an advice the way it was is what was advised.
    advised, own = rows.get(ADVISED, rows[OWN]), rows[OWN]
    above = 100 * (advised["mean"] / best["mean"] - 1)
    change = advised["change_from_first_sampler"]
    change = "" if change is None else f"{100 * change:+.0f} ± {100 * advised['change_from_first_sampler_standard_error']:.0f} %"
    figures = [f"{row['mean']:.3g}" for row in (own, advised, best)]
    print(f"| {name} | {metric} | {len(rows)} | {' | '.join(figures)}, {best['sampler']} | {above:.0f} % | {change} |")


def main():
    what = {"write": write, "read": read}
    if len(sys.argv) < 3 or sys.argv[1] not in what:
        sys.exit(__doc__)
    if sys.argv[1] == "read":
        print("| data | distance | settings | your own | advised | best of the grid | advised above the best | advised against your own |")
        print("|---|---|---|---|---|---|---|---|")
    for name in sys.argv[2:]:
        what[sys.argv[1]](name)


if __name__ == "__main__":
    main()
