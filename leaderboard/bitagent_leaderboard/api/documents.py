"""Boards to JSON documents."""

from __future__ import annotations

import json
from collections.abc import Mapping

from bitagent_leaderboard.api import schemas
from bitagent_leaderboard.model.board import Board, Competition
from bitagent_leaderboard.model.measured import Part
from bitagent_leaderboard.model.objects import OnlineAnswer, Outcome, Result, Round, ValidatorView
from bitagent_leaderboard.model.standing import Row
from bitagent_leaderboard.pages.hotkeys import answers_of, online_rows, weight_rows
from bitagent_leaderboard.pages.html import Pages
from bitagent_leaderboard.pages.links import namespace_path
from bitagent_leaderboard.pages.render import instant


class Api:
    """The JSON documents of one board; `pages` has the board, and what is asked of it in HTML too."""

    def __init__(self, pages: Pages) -> None:
        self._pages, self._board, self._settings = pages, pages.board, pages.settings

    def board(self) -> str:
        """Return competitions and Validators."""
        return schemas.BoardDocument(
            title=self._settings.title,
            validators=sorted(self._board.validators),
            competitions=[_competition(each) for each in self._board.competitions],
            manifests=self._settings.has_manifests,
        ).model_dump_json()

    def rounds(self) -> str:
        """Return all rounds."""
        return schemas.RoundList(rounds=[_summary(each) for each in self._board.newest]).model_dump_json()

    def round(self, round_: Round) -> str:
        """Return a round with its results."""
        public = self._pages.public(round_)
        return schemas.RoundDocument(
            round=_summary(round_),
            why=_why(round_.outcome),
            baseline=round_.baseline,
            seed=round_.seed if public else None,
            task_set_digest=round_.task_set_digest if public else None,
            ranking_digest=round_.ranking_digest,
            evaluator=round_.image,
            archive=self._pages.archive(round_),
            results=[self._row(round_, row) for row in self._pages.standing(round_).rows],
        ).model_dump_json()

    def asked(self, round_: Round) -> str:
        """Return the EvalRound by which anyone can ask the same, for `bitagent-eval plan`."""
        results = [
            {
                "model": each.model,
                "repo": each.repo,
                "commit": each.commit,
                "promptFormat": each.prompt_format,
                "engine": json.loads(each.engine),
            }
            for each in round_.results
            if each.rank is not None and each.repo is not None
        ]
        status = {"taskSet": {"digest": round_.task_set_digest}, "results": results}
        head = {"apiVersion": "bitagent.io/v1alpha1", "kind": "EvalRound", "metadata": {"name": round_.name}}
        return json.dumps(head | {"spec": round_.document, "status": status}, ensure_ascii=True)

    def models(self) -> str:
        """Return all models."""
        found = []
        for name in sorted(self._board.models):
            model, last = self._board.models[name], self._board.latest(name)
            found.append(
                schemas.ModelSummary(
                    name=name,
                    hotkey=model.hotkey,
                    why=_why(model.outcome),
                    last_round=last.round if last else None,
                    last_rank=last.rank if last else None,
                    last_score=last.score if last else None,
                )
            )
        return schemas.ModelList(models=found).model_dump_json()

    def model(self, name: str) -> str:
        """Return a model with its history."""
        model, appearances = self._board.models.get(name), list(self._board.appearances(name))
        history = [
            schemas.PastResult(
                round=each.round.name,
                finished_at=instant(each.round.at),
                rank=each.result.rank,
                of=len(each.round.ranked),
                score=each.result.score,
                loss=each.result.loss,
                interval=each.interval,
                state=each.result.state,
                why=_why(each.result.outcome),
                duplicate_of=each.result.duplicate_of,
                near_copy_of=each.result.near_copy_of,
                same_model=each.same,
            )
            for each in appearances
        ]
        history += [
            schemas.PastResult(
                round=each.round,
                finished_at=instant(each.at),
                rank=each.rank,
                of=None,
                score=each.score,
                loss=None,
                interval=None,
                state="Succeeded",
                why=None,
                duplicate_of=None,
                near_copy_of=None,
                same_model=True,
            )
            for each in self._board.forgotten(name)
        ]
        own = next((each.result.hotkey for each in appearances if each.same), None)
        hotkey = model.hotkey if model is not None else own
        return schemas.ModelDocument(
            name=name,
            hotkey=hotkey,
            why=_why(model.outcome) if model is not None else None,
            running=[each.name for each, _ in self._board.running_with(name)],
            history=history,
            weights={
                each.name: weight
                for each in self._board.validators.values()
                for other, weight in each.weights
                if other == hotkey
            },
            online=[
                schemas.ModelOnline(
                    validator=each.validator,
                    competition=each.step.competition,
                    block=each.step.block,
                    answer=_answer(each.answer),
                )
                for each in answers_of(self._board, hotkey)
            ],
        ).model_dump_json()

    def validator(self, validator: ValidatorView) -> str:
        """Return a Validator with its weights."""
        last = validator.last
        return schemas.ValidatorDocument(
            name=validator.name,
            netuid=validator.netuid,
            hotkey=validator.hotkey,
            uid=validator.slot,
            mode=validator.mode,
            competitions=[_competition(each) for each in self._board.competitions if each.validator == validator.name],
            weights_current=validator.weights_current,
            why=_why(validator.weights_outcome) if validator.weights_outcome is not None else None,
            last_block=last.block if last is not None else None,
            last_set_at=instant(last.at) if last is not None else None,
            last_extrinsic=last.extrinsic if last is not None else None,
            rounds=list(last.rounds) if last is not None else [],
            weights=[
                schemas.WeightDocument(
                    hotkey=each.hotkey,
                    weight=each.weight,
                    results=[_scored(name, result) for name, result in each.results],
                )
                for each in weight_rows(self._board, validator)
            ],
            unpaid=[
                schemas.UnpaidDocument(
                    hotkey=each.hotkey,
                    competition=each.competition,
                    why=schemas.Why(reason=each.standing, meaning=each.meaning),
                )
                for each in validator.unpaid
            ],
            online=[
                schemas.OnlineDocument(
                    competition=step.competition,
                    block=step.block,
                    miners=step.miners,
                    answers=[
                        schemas.OnlineRow(
                            hotkey=row.answer.hotkey,
                            answer=_answer(row.answer),
                            results=[_scored(name, result) for name, result in row.results],
                        )
                        for row in rows
                    ],
                )
                for step, rows in online_rows(self._board, validator)
            ],
        ).model_dump_json()

    def _row(self, round_: Round, row: Row) -> schemas.ResultRow:
        result, measured = row.result, row.measured
        command = self._pages.command(round_, result)
        return schemas.ResultRow(
            model=result.model,
            hotkey=result.hotkey,
            state=result.state,
            why=_why(result.outcome),
            rank=result.rank,
            score=result.score,
            loss=result.loss,
            interval=row.interval,
            not_different_from=row.alike,
            passed=result.passed,
            duplicate_of=result.duplicate_of,
            near_copy_of=result.near_copy_of,
            repo=result.repo,
            commit=result.commit,
            key=result.key,
            result_digest=result.digest,
            done=result.done,
            total=result.total,
            categories=_parts(measured.categories if measured is not None else {}),
            kinds=_parts(measured.kinds if measured is not None else {}),
            columns=_parts(measured.columns if measured is not None else {}),
            reproduce=command.text if command is not None else None,
        )


def namespaces_document(boards: Mapping[str, Board | None]) -> str:
    """Return the list of the namespaces of a page of several; those that were not read yet have no board."""
    return schemas.NamespaceList(
        namespaces=[
            schemas.NamespaceSummary(
                name=name,
                folder=namespace_path(name),
                read=board is not None,
                competitions=len(board.competitions) if board is not None else 0,
                rounds=len(board.rounds) if board is not None else 0,
                models=len(board.models) if board is not None else 0,
            )
            for name, board in boards.items()
        ]
    ).model_dump_json()


def _summary(round_: Round) -> schemas.RoundSummary:
    ranked = round_.ranked
    return schemas.RoundSummary(
        name=round_.name,
        uid=round_.uid,
        validator=round_.validator,
        competition=round_.competition,
        epoch=round_.epoch,
        phase=round_.phase,
        models=round_.selected,
        ended=round_.ended,
        tasks=round_.tasks,
        scorer=round_.scorer,
        created_at=instant(round_.created),
        started_at=instant(round_.started) if round_.started is not None else None,
        finished_at=instant(round_.finished) if round_.finished is not None else None,
        percent=round_.percent,
        best=ranked[0].model if ranked else None,
    )


def _competition(each: Competition) -> schemas.CompetitionDocument:
    rules = each.rules
    return schemas.CompetitionDocument(
        validator=each.validator,
        id=each.id,
        reward_share=rules.reward_share if rules is not None else None,
        scorer=rules.scorer if rules is not None else None,
        policy=rules.policy if rules is not None else None,
        current_round=each.running.name if each.running is not None else None,
        latest_round=each.latest.name if each.latest is not None else None,
    )


def _scored(round_name: str, result: Result) -> schemas.WeightScore:
    return schemas.WeightScore(
        round=round_name, model=result.model, rank=result.rank, score=result.score, loss=result.loss
    )


def _answer(answer: OnlineAnswer) -> schemas.OnlineAnswer:
    return schemas.OnlineAnswer(why=_why(answer.outcome), score=answer.score, mean=answer.mean)


def _why(found: Outcome) -> schemas.Why:
    return schemas.Why(reason=found.reason, meaning=found.meaning)


def _parts(parts: Mapping[str, Part]) -> dict[str, schemas.Part]:
    return {name: schemas.Part(score=each.score, passed=each.passed, total=each.total) for name, each in parts.items()}
