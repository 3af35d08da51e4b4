"""Asks a judge model the questions about one episode, checks each reply and adds up the consumption."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from judging.endpoints.metered import Metered
from judging.endpoints.protocol import EndpointError, Part, Usage
from judging.rubric import wording
from judging.rubric.evidence import Evidence
from judging.rubric.fencing import Fence, marker_of
from judging.rubric.parsing import parse
from judging.rubric.prompts import facts_of, facts_parts, relevance_parts, support_parts
from judging.rubric.record import View, shown_pages
from judging.rubric.replies import Facts, Marked, Relevance, Support, SureFacts, SureSupport, schema_of
from judging.rubric.scoring import check_facts, check_pages, check_support
from judging.undecided import Undecided, undecided_by

Form = TypeVar("Form", bound=Marked)


class Asker:
    """Asks for one episode. `usage` is the consumption so far, also after a failed question."""

    def __init__(self, model: Metered, secret: bytes, subject: str) -> None:
        """`secret` makes the markers unguessable; `subject` names the episode."""
        self.usage = Usage()
        self._model, self._secret, self._subject = model, secret, subject

    async def ask(self, system: str, parts: Callable[[Fence], Sequence[Part]], form: type[Form], *about: str) -> Form:
        """The parsed reply to a question; `about` tells it from others of the same form. Raises `Undecided`."""
        fence = Fence(marker_of(self._secret, self._subject, form.__name__, *about))
        try:
            asked = await self._model.ask(system, parts(fence), schema_of(form))
        except EndpointError as error:
            self.usage = self.usage.plus(error.usage)
            raise undecided_by(error) from error
        self.usage = self.usage.plus(asked.usage)
        return parse(asked.reply, form, fence.marker)


class Questions:
    """The rubric judge's questions about one episode. Each raises `Undecided`."""

    def __init__(self, asker: Asker, evidence: Evidence, *, confidence: bool = False) -> None:
        """`confidence`: ask also how sure the judge is; the replies are then `SureSupport` and `SureFacts`."""
        self._asker, self._evidence, self._confidence = asker, evidence, confidence

    async def relevant(self, most: int, per_call: int) -> list[View]:
        """At most `most` pages that matter, in their order: all if there are few, else those that the judge chooses.

        The last page is always one of them. Of too many the last ones are kept, for they show the result.
        """
        views = [view for view in self._evidence.record.views if view.is_evidence]
        if not views:
            raise Undecided("no_evidence", "no picture and no text of the episode's pages can be read")
        if len(views) <= most:
            return views
        chosen: set[int] = set(views[-1].pages)
        for start in range(0, len(views), per_call):
            chosen |= await self._chosen(views[start : start + per_call])
        return [view for view in views if chosen & set(view.pages)][-most:]

    async def support(self, views: Sequence[View]) -> Support:
        """Criterion B."""
        form = SureSupport if self._confidence else Support
        system = self._system(wording.SUPPORT)
        reply = await self._asker.ask(system, lambda fence: support_parts(self._evidence, views, fence), form)
        check_support(reply, self._evidence.record, shown_pages(views))
        return reply

    async def facts(self, views: Sequence[View]) -> Facts:
        """Criterion A."""
        form = SureFacts if self._confidence else Facts
        system = self._system(wording.FACTS)
        reply = await self._asker.ask(system, lambda fence: facts_parts(self._evidence, views, fence), form)
        trajectory = self._evidence.trajectory
        check_facts(
            reply,
            self._evidence.record,
            shown_pages(views),
            count=len(facts_of(trajectory)),
            has_reference=trajectory.task.reference_answer is not None,
        )
        return reply

    def _system(self, words: str) -> str:
        return words + wording.CONFIDENCE if self._confidence else words

    async def _chosen(self, views: Sequence[View]) -> set[int]:
        reply = await self._asker.ask(
            wording.RELEVANCE,
            lambda fence: relevance_parts(self._evidence, views, fence),
            Relevance,
            *(view.names() for view in views),
        )
        check_pages(reply.pages, self._evidence.record, shown_pages(views))
        return set(reply.pages)
