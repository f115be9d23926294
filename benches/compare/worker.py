"""Trains and samples in PyTorch what a job file says: one JSON command a line in, one JSON answer a line out.

`python worker.py JOB.json`; benches/compare/protocol.rs has the commands, and worker.rs answers the same ones.
"""

import contextlib
import datetime
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

import networks

# Steps of each kind of AdamW before the faster one is chosen.
OPTIMIZER_TRIES = 9
ADAMW_KINDS = ("fused", "foreach")


class Trainer:
    """A network, its optimizer and its average."""

    def __init__(self, job: dict):
        self.job = job
        self.device = torch.device(job["device"])
        torch.set_num_threads(job["threads"])
        # As Burn on an NVIDIA GPU: products of f32 in TF32.
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        torch.manual_seed(0)
        self.network = networks.make(job["network"]).to(self.device)
        self.called = torch.compile(self.network) if job["compiled"] else self.network
        self.trained = [p for p in self.network.parameters() if p.requires_grad]
        self.weights = [p.detach() for p in self.trained]
        self.dropout = job["condition_dropout"]
        self.null_label = job["network"]["num_classes"]
        folder = Path(job["folder"])
        self.draws, self.start = folder / "draws.safetensors", folder / "weights.safetensors"
        self.data, self.labels = self.drawn("data"), self.drawn("labels_of_data")
        self.kind, self.tried = job["adamw"], "told"
        if self.kind is None:
            self.kind, self.tried = faster_adamw(self.trained, job["optimizer"])
        self.reset()

    def drawn(self, name: str) -> Tensor:
        """A tensor of the file of draws."""
        with safe_open(self.draws, framework="pt", device=str(self.device)) as file:
            return file.get_tensor(name)

    def reset(self) -> None:
        """The weights of the file, no moments, and an average that starts at the weights."""
        self.network.load_state_dict(load_file(self.start, device=str(self.device)), strict=True)
        self.optimizer = adamw(self.trained, self.job["optimizer"], self.kind)
        self.average = [w.clone() for w in self.weights]
        self.updates = 0

    def autocast(self) -> contextlib.AbstractContextManager:
        """bf16 where the job asks for it."""
        if self.job["precision"] == "f32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def draw(self, mixflow: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x_m, t, target and labels of a step."""
        data, count = self.data, len(self.data)
        noise = torch.randn_like(data)
        t = torch.rand(count, device=self.device)
        slowed = t
        # MixFlow: t ~ Beta(2, 1), m ~ U[(1 - gamma) t, t]. The network sees x_m and is told t.
        if mixflow:
            t = t.sqrt()
            slowed = t * (1 - self.job["gamma"] * torch.rand(count, device=self.device))
        m = slowed.view(-1, 1, 1, 1)
        labels = self.labels
        if self.dropout > 0:
            dropped = torch.rand(count, device=self.device) < self.dropout
            labels = labels.masked_fill(dropped, self.null_label)
        return m * data + (1 - m) * noise, t, data - noise, labels

    def backward(self, noisy: Tensor, t: Tensor, target: Tensor, labels: Tensor) -> Tensor:
        """The gradients, and the loss, which stays on the device."""
        with self.autocast():
            output = self.called(noisy, t, labels)
        loss = (output.float() - target).square().mean()
        loss.backward()
        return loss.detach()

    def update(self) -> None:
        """Clipping, AdamW and the average."""
        clip = self.job["optimizer"]["clip"]
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(self.trained, clip, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        ema, k = self.job["ema"], self.updates
        decay = min(ema["decay"], (1 + k) / (10 + k)) if ema["ramp"] else ema["decay"]
        torch._foreach_lerp_(self.average, self.weights, 1 - decay)
        self.updates += 1

    def synchronize(self) -> None:
        """Waits for the device; a CPU has finished when a call returns."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def train(self, count: int) -> dict:
        """Milliseconds of whole steps, and of their updates where the device computes while one waits."""
        steps, updates = [], []
        for _ in range(count):
            started = time.perf_counter()
            self.backward(*self.draw(mixflow=True))
            between = time.perf_counter()
            self.update()
            self.synchronize()
            ended = time.perf_counter()
            steps.append(1e3 * (ended - started))
            updates.append(1e3 * (ended - between))
        return {"steps": steps, "updates": updates if self.device.type == "cpu" else []}

    @torch.inference_mode()
    def forward(self, count: int) -> dict:
        """Milliseconds of forward passes without gradients."""
        noisy, labels = self.data, self.labels
        t = torch.full((len(noisy),), 0.5, device=self.device)
        return {"steps": self.timed(count, lambda: self.called(noisy, t, labels)), "updates": []}

    @torch.inference_mode()
    def sample(self, count: int, steps: int) -> dict:
        """Milliseconds of drawing a batch of samples by Euler steps."""
        return {"steps": self.timed(count, lambda: self.euler(steps)), "updates": []}

    def euler(self, steps: int) -> Tensor:
        """A batch of samples."""
        x = torch.randn_like(self.data)
        for i in range(steps):
            t = torch.full((len(x),), i / steps, device=self.device)
            x = x + self.called(x, t, self.labels) / steps
        return x

    def timed(self, count: int, work) -> list[float]:
        """Milliseconds of each of `count` runs of `work`, under the precision of the job."""
        times = []
        for _ in range(count):
            started = time.perf_counter()
            with self.autocast():
                work()
            self.synchronize()
            times.append(1e3 * (time.perf_counter() - started))
        return times

    def losses(self) -> dict:
        """The losses of the steps whose draws are in the file, from the weights in the file."""
        self.reset()
        losses = []
        for draws in zip(*map(self.drawn, ("noisy", "t", "target", "labels")), strict=True):
            losses.append(self.backward(*draws).item())
            self.update()
        return {"losses": losses}

    def hello(self) -> dict:
        """Who answers."""
        return {
            "versions": f"PyTorch {torch.__version__}, Python {platform.python_version()}",
            "adamw": self.kind,
            "tried": self.tried,
            "parameters": sum(p.numel() for p in self.trained),
            "date": datetime.date.today().isoformat(),
        }


def adamw(parameters: list, config: dict, kind: str) -> torch.optim.AdamW:
    """AdamW of one kind: `fused` or `foreach`."""
    return torch.optim.AdamW(
        parameters,
        lr=config["learning_rate"],
        betas=tuple(config["betas"]),
        eps=config["epsilon"],
        weight_decay=config["weight_decay"],
        **{kind: True},
    )


def faster_adamw(parameters: list, config: dict) -> tuple[str, str]:
    """The faster kind of AdamW here, and what each takes. Gradients of zero leave the weights as they are."""
    tried = {}
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    for kind in ADAMW_KINDS:
        optimizer = adamw(parameters, config | {"weight_decay": 0.0}, kind)
        times = []
        for _ in range(OPTIMIZER_TRIES):
            started = time.perf_counter()
            optimizer.step()
            if parameters[0].is_cuda:
                torch.cuda.synchronize(parameters[0].device)
            times.append(1e3 * (time.perf_counter() - started))
        tried[kind] = statistics.median(times[1:])
    for parameter in parameters:
        parameter.grad = None
    return min(tried, key=tried.get), ", ".join(f"{kind} {milliseconds:.1f} ms" for kind, milliseconds in tried.items())


def peak() -> float | None:
    """The largest resident memory of this process so far in MiB, where Linux tells it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = (line.split() for line in status.read_text().splitlines())
    return next((int(words[1]) / 1024 for words in lines if words[0] == "VmHWM:"), None)


def answer(trainer: Trainer, before: float | None, command: dict) -> dict:
    """What `command` asks for; `before` is the memory before there was a network."""
    match command:
        case {"command": "hello"}:
            return trainer.hello()
        case {"command": "train", "count": count}:
            return trainer.train(count)
        case {"command": "forward", "count": count}:
            return trainer.forward(count)
        case {"command": "sample", "count": count, "steps": steps}:
            return trainer.sample(count, steps)
        case {"command": "losses"}:
            return trainer.losses()
        case {"command": "memory"}:
            return {"before": before, "peak": peak()}
        case _:
            raise ValueError(f"unknown command {command}")


def main() -> None:
    before = peak()
    trainer = Trainer(json.loads(Path(sys.argv[1]).read_text()))
    for line in sys.stdin:
        try:
            reply = answer(trainer, before, json.loads(line))
        except Exception as error:  # The driver prints it; the process would only vanish.
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
