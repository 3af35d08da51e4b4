"""The loop: observe, decide, act, until a `StopReason`. A broken episode never raises: the failure is data.

serve site -> lease browser -> open start page -> [ policy.act -> browser.step ] * -> Trajectory + pictures
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple

from agent.config import AgentConfig
from agent.episodes.effects import effect
from agent.episodes.episode_lease import EpisodeLease
from agent.episodes.episode_record import EpisodeRecord, by_reference
from agent.episodes.evidence import end_after_failure, end_of
from agent.episodes.safety import Confirm, decide, refusal
from agent.episodes.tracing import episode_span, note_end, note_step
from agent.episodes.watch import Watch, outside
from agent.failures import EpisodeFailure, boundary, failed, in_the_first_turn
from agent.limits import kinds_of
from agent.recording import Recording
from agent.types import (
    Answer,
    Failure,
    Policy,
    Recorded,
    SafetyDecision,
    Site,
    Step,
    StopReason,
    Task,
    Trajectory,
    Turn,
)
from browser_service.client import Browser, BrowserPool
from browser_service.models import Action, Observation, Observe, ObserveRequest, StepReply, Viewport, VisitPage
from telemetry.ids import bound
from telemetry.spans import current, span

Serve = Callable[..., AbstractAsyncContextManager[Site]]
"""Called as `serve(task, trajectory_id=...)`; `environments.base.Environment.serve` fits."""


class EpisodeKey(NamedTuple):
    """Identity of an episode.

    Example: `EpisodeKey(task, "i0003-click-button.17-m02", group="i0003-click-button.17", member=2, iteration=3)`"""

    task: Task
    trajectory_id: str
    group: str
    member: int
    iteration: int
    attempt: int = 1


class Played(NamedTuple):
    """A finished episode and the pictures that its observations refer to, by sha256."""

    trajectory: Trajectory
    images: dict[str, bytes]


@dataclass(frozen=True)
class EpisodeSetup:
    """All that episodes of one policy in one environment have in common."""

    policy: Policy
    pool: BrowserPool
    serve: Serve
    viewport: Viewport
    config: AgentConfig
    policy_version: int | None = None
    """Version of the trained policy that acts; None for a model that has none."""
    reuse: str | None = None
    """See `LeaseRequest.reuse`, for sites that trust one another."""
    confirm: Confirm | None = None
    """Asks a person where `agent.safety` is `ask`."""


async def play(
    slot: EpisodeKey, setup: EpisodeSetup, *, recording: Recording | None = None, watch: Watch | None = None
) -> Played:
    """Plays one episode. Every failure becomes `trajectory.failure`; only cancellation and bugs raise.

    `recording` stores each step as soon as it is over (`TrajectoryStore.begin`), and what `agent.record` asks for:
    without it nothing is recorded.
    """
    with (
        bound(trajectory=slot.trajectory_id, iteration=slot.iteration, attempt=slot.attempt),
        episode_span(slot, setup.policy_version) as traced,
    ):
        played = await _played(slot, setup, recording, watch or Watch())
        note_end(traced, played.trajectory)
        return played


async def _played(slot: EpisodeKey, setup: EpisodeSetup, recording: Recording | None, watch: Watch) -> Played:
    started, record = time.monotonic(), EpisodeRecord(recording=recording)
    failure: Failure | None = None
    config = setup.config
    lease = EpisodeLease(
        slot.trajectory_id, slot.task, setup.pool, setup.viewport, config, setup.reuse, recording, watch.gates
    )
    episode = _Episode(slot, record, setup.policy, lease, config, setup.confirm, watch)
    try:
        stop = await episode.play(setup.serve)
    except EpisodeFailure as broken:
        stop = StopReason.FAILED
        failure = broken.failure if record.steps else in_the_first_turn(broken.failure)
    except TimeoutError:
        message = f"the episode did not end within {config.episode_deadline_s:g} s (agent.episode_deadline_s)"
        stop = StopReason.FAILED
        failure = Failure(side="infra", code="EPISODE_DEADLINE", message=message, retryable=True)
    trajectory = Trajectory(
        id=slot.trajectory_id,
        task=slot.task,
        goal=record.goal,
        group=slot.group,
        member=slot.member,
        iteration=slot.iteration,
        steps=tuple(record.steps),
        stop=stop,
        final_observation=by_reference(record.last) if record.last else None,
        answer=record.answer,
        final_state=record.final_state,
        failure=failure,
        policy_version=setup.policy_version,
        recorded=await episode.fetch_recorded(),
        attempt=slot.attempt,
        seconds=time.monotonic() - started,
        phases=record.phases,
    )
    return Played(trajectory, record.images)


@dataclass
class _Episode:
    slot: EpisodeKey
    record: EpisodeRecord
    policy: Policy
    lease: EpisodeLease
    config: AgentConfig
    confirm: Confirm | None
    watch: Watch

    async def play(self, serve: Serve) -> StopReason:
        """Raises `EpisodeFailure`, and TimeoutError after the episode's deadline."""
        async with asyncio.timeout(self.config.episode_deadline_s) as deadline:
            self._tell("serve")
            begun = time.monotonic()
            async with serve(self.slot.task, trajectory_id=self.slot.trajectory_id) as site:
                self.record.phases["serve"] = (served := time.monotonic()) - begun
                try:
                    self._tell("allocate")
                    async with boundary("browser"), self.lease.hold(site.reach, site.login) as browser:
                        self.record.phases["allocate"] = time.monotonic() - served
                        stop = await self._turns(browser, site, deadline)
                except Exception:
                    self.record.final_state = await end_after_failure(site)
                    raise
                self.record.final_state = await end_of(site)
                return stop

    async def fetch_recorded(self) -> tuple[Recorded, ...]:
        """Fetches the episode's recordings after its end, whatever its outcome, outside its deadline."""
        if self.lease.wanted is None:
            return ()
        self._tell("record")
        recorded, self.record.phases["record"] = await self.lease.fetch_recorded()
        return recorded

    async def _turns(self, browser: Browser, site: Site, deadline: asyncio.Timeout) -> StopReason:
        observation = await self._open(browser, site)
        if self._is_blocked(observation):
            return StopReason.BLOCKED
        without_action = 0
        for number in range(self.slot.task.max_steps):
            with span("step", step=number) as traced:
                turn, seconds = await self._think(observation, deadline)
                decision = await decide(turn, self.config, self.confirm)
                step, observation = await self._carry_out(turn, decision, observation, browser, seconds)
                await self.record.keep(step)
                note_step(traced, step)
            if isinstance(step.action, Answer):
                self.record.answer = step.action.text
                return StopReason.ANSWERED
            if decision is not None and decision.decision == "unanswered":
                return StopReason.SAFETY
            if site.is_over():
                return StopReason.DONE
            if step.action is not None and self._is_blocked(observation):
                return StopReason.BLOCKED
            without_action = without_action + 1 if step.action is None else 0
            if without_action >= self.config.max_format_errors:
                return StopReason.FORMAT if decision is None else StopReason.SAFETY
        return StopReason.MAX_STEPS

    async def _open(self, browser: Browser, site: Site) -> Observation:
        """Opens the start page, and puts the instruction on the record."""
        self._tell("navigate")
        opening = time.monotonic()
        opened = await self._step(browser, VisitPage(url=site.start_url))
        if opened.error is not None:
            raise failed("site", opened.error.code, f"start page: {opened.error.message}", retryable=True)
        observation = self.record.see(opened)
        self.record.goal = self.slot.task.goal or await site.goal()
        # The page was still loading: the policy must see the page that states the goal.
        if not observation.settled:
            observation = self.record.see(await self._step(browser, Observe()))
        self.record.phases["navigate"] = time.monotonic() - opening
        return observation

    async def _think(self, observation: Observation, deadline: asyncio.Timeout) -> tuple[Turn, dict[str, float]]:
        """The policy's next turn, and its duration in seconds."""
        if self.watch.may_go_on is not None:
            await outside(deadline, self.watch.may_go_on)
        self._tell("model")
        async with self.watch.gates.passed("model"):
            thinking = time.monotonic()
            record = self.record
            turn = await self.policy.act(self.slot.task, record.goal, record.steps, observation, record.images)
            return turn, {"think": time.monotonic() - thinking}

    async def _carry_out(
        self,
        turn: Turn,
        decision: SafetyDecision | None,
        seen: Observation,
        browser: Browser,
        seconds: dict[str, float],
    ) -> tuple[Step, Observation]:
        """Carries out a turn; returns the step, and the page after it."""
        action, feedback, after, changed = turn.action, turn.format_error or "", seen, ""
        if decision is not None and decision.decision != "allowed":
            action, feedback = None, refusal(decision)
        if action is not None and not isinstance(action, Answer):
            reply = await self._act(browser, action, seconds)
            feedback = reply.error.message[:300] if reply.error else ""
            after = self.record.see(reply)
            changed = "" if reply.error else effect(seen, after)
        step = Step(
            index=len(self.record.steps),
            observation=by_reference(seen),
            completion=turn.completion,
            action=action,
            feedback=feedback,
            effect="; ".join(filter(None, (turn.note, changed))),
            safety=decision,
            seconds=seconds,
        )
        return step, after

    async def _act(self, browser: Browser, action: Action, seconds: dict[str, float]) -> StepReply:
        self._tell("act")
        acting = time.monotonic()
        reply = await self._step(browser, action)
        if reply.error is not None:
            current().fail(reply.error.code, reply.error.fault)
        seconds["step"] = time.monotonic() - acting
        seconds.update({phase: ms / 1_000 for phase, ms in reply.timings_ms.items()})
        return reply

    async def _step(self, browser: Browser, action: Action) -> StepReply:
        observe = self._observe
        async with self.watch.gates.passed(*kinds_of(action, observe)):
            return await browser.step(action, observe, deadline_s=self.config.step_deadline_s)

    @property
    def _observe(self) -> ObserveRequest:
        by_marks = self.config.interaction_mode == "set_of_marks"
        return ObserveRequest(
            screenshot=True,
            # The full prompt has the action's effect, and elements describe it better than the picture's hash.
            marks=by_marks or self.config.prompt == "full",
            draw_marks=self.config.draw_marks and by_marks,
            text=self.config.model.kind == "scripted",  # some solutions read what no element says
            ax_tree=self.config.ax_tree,
            image_format=self.config.image_format,
            quality=self.config.image_quality,
        )

    def _is_blocked(self, page: Observation) -> bool:
        blocked = self.watch.blocked
        return blocked is not None and blocked.is_over(page)

    def _tell(self, phase: str) -> None:
        self.watch.tell(phase, len(self.record.steps))
