"""The one loop: steps, looks at validation, samples, saves, each told as a frozen event.

A run can be closed at any event and goes on bit for bit from its last save (on a processor, in f32, with as
many threads); closing saves it.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from core.artifacts import durable
from core.model.config import ModelConfig
from core.model.generation import Reader, Wrote, generate
from core.model.settings import GenerationSettings
from core.problems import LabError
from core.settings import check
from core.stages import Finished, Progress
from core.training import processes
from core.training.checkpoints import Save, log_spaced, read_save, write_save
from core.training.events import (
    Began,
    Controls,
    Event,
    Kept,
    Measured,
    RateChanged,
    Sampled,
    Saved,
    Stepped,
    Trained,
    Validated,
)
from core.training.folders import CHECKPOINTS, SAVES, step_name
from core.training.history import FILE, Journal, read_events
from core.training.lessons import Lesson
from core.training.machine import check_device, choose_precision, step_flops
from core.training.schedule import rate_share
from core.training.settings import TrainingSettings
from core.training.trainer import Trainer

_WINDOW = 20  # steps whose time gives the speed

Told = Iterator[Progress | Event | Finished[Trained]]


@dataclass(frozen=True, eq=False)
class Work:
    """What a run works on.

    Attributes:
        folder: The run's own.
        lesson: What it learns from, and with which loss.
        settings: How it is trained.
        prompts: What it goes on from at each look at validation.
    """

    folder: Path
    lesson: Lesson
    settings: TrainingSettings
    prompts: tuple[str, ...] = ()

    @property
    def config(self) -> ModelConfig:
        """Shape of the model."""
        return self.lesson.config


def train(work: Work, controls: Controls | None = None) -> Told:
    """Train a model, from its last save where there is one.

    Args:
        work: What is to be done, and where.
        controls: What a person changes meanwhile.

    Raises:
        LabError: A setting is outside its limits, there is no such device, or what is learned from is not
            that of the last save. While it goes on: the loss is no number, the disk or the memory is full.
    """
    check(work.settings)
    check_device(work.settings.device)
    saved = read_save(work.folder / SAVES)
    if saved is not None and saved.state.get("tokens") != work.lesson.facts.identity:
        raise LabError(
            "The last save of this run was made with other tokens.", "Start a new run for the changed text."
        )
    work.lesson.check()
    return _Loop(work, controls or Controls(), saved).run()


class _Loop:
    """One sitting of a run."""

    def __init__(self, work: Work, controls: Controls, saved: Save | None) -> None:
        self.work, self.controls, self.saved = work, controls, saved
        self.settings = work.settings
        self.journal = Journal(work.folder)
        self.seconds = 0.0
        self.validation_loss = math.nan
        self.saved_step = -1
        self.looked = -1  # the step after which all that comes between two steps is told
        self.factor = 1.0
        self.writes = processes.is_first()

    def run(self) -> Told:
        """Tell everything, and keep it in the history."""
        yield Progress("Measuring this machine", 0, None, "steps")
        precision, self.peak = self._precision()
        try:
            self.trainer = Trainer(self.work.lesson, self.settings, precision)
        except (RuntimeError, MemoryError) as error:
            raise self._explained(error, self.saved.step if self.saved else 0) from error
        notes = self._restore()
        (self.factor,) = processes.as_the_first([self.factor], self.settings.device)
        self.controls.rate_factor *= self.factor  # what a person changed before the run had begun stays
        self.validation = self.work.lesson.looks()
        self.kept = set(log_spaced(self.settings.steps))
        try:
            yield from self._told(self._began(precision, notes))
            yield from self._go()
        except GeneratorExit:
            if self.writes:
                self._save()
            raise
        except (RuntimeError, MemoryError) as error:
            raise self._explained(error, self.trainer.step) from error
        finally:
            if self.writes:
                self.journal.flush()

    def _precision(self) -> tuple[str, float]:
        wanted = self.settings.precision
        if wanted == "auto" and self.saved is not None:
            wanted = str(self.saved.state.get("precision", wanted))  # a run stays with what it began with
        precision, peak = choose_precision(wanted, self.settings.device)
        half, peak = processes.as_the_first([float(precision == "bf16"), peak], self.settings.device)
        return ("bf16" if half else "f32"), peak

    def _go(self) -> Told:
        if self.writes and self.looked != self.trainer.step:
            yield from self._look_around()
        times: deque[float] = deque(maxlen=_WINDOW)
        while self.trainer.step < self.settings.steps:
            yield from self._heed()
            began = time.perf_counter()
            loss = gradient = math.nan
            for result in self.trainer.next_step(self.factor):
                if result is None:
                    yield Progress("Adding up gradients", self.trainer.step, self.settings.steps, "steps")
                else:
                    loss, gradient = result
            times.append(time.perf_counter() - began)
            self.seconds += times[-1]
            if not (math.isfinite(loss) and math.isfinite(gradient)):
                raise self._no_number(loss, gradient)
            yield from self._told(self._stepped(loss, gradient, times), *self._measured("train"))
            if self.writes:
                yield from self._around()
        model = self.work.folder / CHECKPOINTS / step_name(self.trainer.step)
        if self.writes and self.saved_step != self.trainer.step:
            yield from self._told(self._saved())
        if self.writes and not model.is_dir():
            yield from self._told(self._keep())
        processes.wait_for_all()
        done = Trained(self.trainer.step, self.work.folder, model, self.validation_loss)
        yield Finished(f"All {self.settings.steps:,} steps are done.", done)

    def _around(self) -> Told:
        """What comes between two steps."""
        step = self.trainer.step
        yield from self._look_around()
        if step % self.settings.save_every == 0 or step == self.settings.steps:
            yield from self._told(self._saved())

    def _look_around(self) -> Told:
        """What is due after a step, but the save; done again where a stop came in its midst."""
        step = self.trainer.step
        if step % self.settings.evaluate_every == 0 or step == self.settings.steps:
            yield from self._look()
        elif step in self.kept:
            yield from self._told(self._keep())
        self.looked = step

    def _heed(self) -> Told:
        """Do what a person asked for."""
        if self.controls.rate_factor != self.factor:
            self.factor = self.controls.rate_factor
            self.controls.changes.append((self.trainer.step + 1, self.factor))
            yield from self._told(RateChanged(self.trainer.step + 1, self.factor))
        if self.controls.show_batch:
            self.controls.show_batch = False
            yield self.trainer.show()

    def _look(self) -> Told:
        """Validation, samples, and a checkpoint where one stays."""
        step = self.trainer.step
        loss = math.nan
        for n, result in enumerate(self.trainer.validate(self.validation), 1):
            if result is None:
                yield Progress("Looking at validation", n, len(self.validation), "batches")
            else:
                loss = result
        if self.validation:
            self.validation_loss = loss
            weight = round(sum(weight for _, weight in self.validation))
            look = Validated(step, loss, self.work.lesson.per_byte(loss), weight)
            yield from self._told(look, *self._measured("validation"))
        for prompt in self.work.prompts:
            text = yield from self._sample(prompt)
            yield from self._told(Sampled(step, prompt, text))
        if step in self.kept:
            yield from self._told(self._keep())

    def _sample(self, prompt: str) -> Generator[Progress, None, str]:
        lesson, tokenizer = self.work.lesson, self.work.lesson.tokenizer
        start = lesson.prompt_ids(prompt)
        most = min(lesson.sample_tokens, lesson.config.context - len(start))
        if most < 1:
            return ""
        written: list[int] = []
        settings = GenerationSettings(temperature=0.0, max_tokens=most)
        for event in generate(Reader(self.trainer.model), start, settings, tokenizer.end_ids):
            if isinstance(event, Wrote) and event.id not in tokenizer.end_ids:
                written.append(event.id)
                if len(written) % 16 == 0:
                    yield Progress("Writing a sample", len(written), most, "tokens")
        return tokenizer.decode_text(written)

    def _told(self, *events: Event) -> Iterator[Event]:
        """Keep events in the history, then tell them: what belongs together is kept whole."""
        if self.writes:
            for event in events:
                self._written(event)
        yield from events

    def _written(self, event: Event) -> None:
        self.journal.keep(event)
        if not isinstance(event, Stepped) or event.step % 50 == 0:
            self.journal.flush()

    def _began(self, precision: str, notes: tuple[str, ...]) -> Began:
        facts, learns = self.work.lesson.facts, self.trainer.weights().values()
        self.precision = precision
        return Began(
            self.trainer.step, self.settings.steps, sum(p.numel() for p in learns), facts.tokens,
            facts.validation, facts.step_tokens, self.work.config.vocab_size, facts.chance_loss,
            facts.unigram_loss, facts.floor_loss, precision, self.peak, notes,
        )  # fmt: skip

    def _stepped(self, loss: float, gradient: float, times: deque[float]) -> Stepped:
        step = self.trainer.step
        a_step = sum(times) / len(times)
        tokens = self.work.lesson.tokens_before(step)
        step_tokens = (tokens - self.work.lesson.tokens_before(step - len(times))) // len(times)
        speed = step_tokens / a_step
        reached = step_flops(self.work.config, step_tokens) / a_step / self.peak
        rate = self.settings.rate * rate_share(step, self.settings) * self.factor
        left = (self.settings.steps - step) * a_step
        return Stepped(step, loss, rate, gradient, tokens, self.seconds, speed, reached, left)

    def _measured(self, of: str) -> tuple[Measured, ...]:
        found = self.trainer.measures
        return (Measured(self.trainer.step, of, found),) if found else ()

    # Saves

    def _restore(self) -> tuple[str, ...]:
        if self.saved is None:
            if self.writes and (self.work.folder / FILE).is_file():
                self.journal.cut_after(-1)  # it was gone before its first save
            return ()
        state, trainer = self.saved.state, self.trainer
        trainer.restore(self.saved.weights, self.saved.optimizer, self.saved.step)
        self.saved_step = self.saved.step
        self.seconds = float(state.get("seconds", 0.0))
        self.factor = float(state.get("factor", 1.0))
        loss = state.get("validation_loss")
        self.validation_loss = float(loss) if isinstance(loss, float) else math.nan
        if self.writes:
            self._rewind(bool(state.get("looked", True)))
        threads = torch.get_num_threads()
        if state.get("threads") != threads:
            return (
                f"{state.get('threads')} threads computed before, {threads} do now: the run goes on, but not "
                "to the same last digits.",
            )
        return ()

    def _rewind(self, looked: bool) -> None:
        """Drop from the history what will be told again; a rate that was changed for the next step stays."""
        step = self.trainer.step
        events = list(read_events(self.work.folder))
        changes = [event for event in events if isinstance(event, RateChanged) and event.step <= step + 1]
        if looked:
            self.looked = step
        self.journal.cut_after(step if looked else step - 1)
        if not looked:
            for event in events:
                of_step = isinstance(event, Began | Stepped | RateChanged) or (
                    isinstance(event, Measured) and event.of == "train"
                )
                if of_step and getattr(event, "step", -1) == step:
                    self.journal.keep(event)
        if changes:
            self.factor = changes[-1].factor
        if changes and changes[-1].step == step + 1:
            self.journal.keep(changes[-1])

    def _saved(self) -> Saved:
        return Saved(self.trainer.step, self._save())

    def _save(self) -> Path:
        trainer = self.trainer
        if self.saved_step == trainer.step:
            return self.work.folder / SAVES / step_name(trainer.step)
        self.journal.flush(sync=True)
        state = {
            "tokens": self.work.lesson.facts.identity, "threads": torch.get_num_threads(),
            "seconds": self.seconds,
            "factor": self.factor, "precision": self.precision, "looked": self.looked == trainer.step,
            "validation_loss": self.validation_loss if math.isfinite(self.validation_loss) else None,
        }  # fmt: skip
        folder = write_save(
            self.work.folder / SAVES, trainer.step, trainer.weights(), trainer.optimizer.tensors(), state
        )
        self.saved_step = trainer.step
        return folder

    def _keep(self) -> Kept:
        """Write a checkpoint that every lab opens."""
        step = self.trainer.step
        target = self.work.folder / CHECKPOINTS / step_name(step)
        staging = target.with_name(f".{target.name}{durable.PART}")
        durable.ensure_folder(target.parent)
        durable.remove_folder(staging)
        try:
            durable.ensure_folder(staging)
            self.work.lesson.write(self.trainer.model, staging)
            durable.remove_folder(target)
            durable.move_folder(staging, target)
        finally:
            durable.remove_folder(staging)
        return Kept(step, target)

    # Faults

    def _no_number(self, loss: float, gradient: float) -> LabError:
        what = f"The loss became {loss}" if not math.isfinite(loss) else f"The gradient became {gradient}"
        return LabError(
            f"{what} at step {self.trainer.step + 1:,}; {self._last()}",
            "Go on from there with a lower learning rate, a longer warm-up, or gradients cut at 1.",
        )

    def _explained(self, error: BaseException, done: int) -> BaseException:
        text = str(error).lower()
        if isinstance(error, MemoryError) or "alloc" in text or "out of memory" in text:
            return LabError(
                f"The memory is full at step {done + 1:,}; {self._last()}",
                f"Read the batch in {2 * self.settings.accumulation} parts (accumulation), or choose a "
                "smaller batch, context or width.",
            )
        return error

    def _last(self) -> str:
        if self.saved_step < 1:
            return "nothing was saved before."
        return f"the save of step {self.saved_step:,} is whole."
