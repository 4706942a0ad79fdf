"""Batch transcription v3.2 over HTTP: create, list, get, change, delete, and the result files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from device.server.auth import Gate
from device.server.batch import BatchWorkers, definition_sources
from device.server.batch_store import REPORT, BatchStore, Job, Result, Status
from device.server.bodies import read_body
from device.server.errors import HttpError
from device.server.jsons import parse_json
from device.server.service import Service

LONGEST_BODY = 1 << 20
MOST_IN_PAGE = 100
_CHANGEABLE: dict[str, Any] = {"displayName": str, "description": str, "customProperties": dict}


class BatchRest:
    """Answers requests; one object for all."""

    def __init__(self, service: Service, gate: Gate, store: BatchStore, workers: BatchWorkers) -> None:
        self._service, self._gate, self._store, self._workers = service, gate, store, workers

    async def create(self, request: Request) -> Response:
        """Keep a new transcription, to be worked on when its turn comes."""
        definition = await _object(request)
        sources = await self._service.work(definition_sources, self._service, definition)
        job = await self._service.work(self._store.add, definition, sources)
        await self._workers.wake()
        body = self._describe(request, job)
        return JSONResponse(body, 201, {"Location": body["self"]})

    async def page(self, request: Request) -> Response:
        """List transcriptions, a page at a time."""
        skip, top = _number(request, "skip", 0), min(_number(request, "top", MOST_IN_PAGE), MOST_IN_PAGE)
        jobs = await self._service.work(self._store.page, skip, top + 1)
        body: dict[str, Any] = {"values": [self._describe(request, job) for job in jobs[:top]]}
        if len(jobs) > top > 0:  # a page of nothing leads nowhere
            body["@nextLink"] = f"{_base(request)}?skip={skip + top}&top={top}"
        return JSONResponse(body)

    async def get(self, request: Request) -> Response:
        """Return one transcription."""
        return JSONResponse(self._describe(request, await self._job(request)))

    async def change(self, request: Request) -> Response:
        """Change what may be changed: its name, description and the owner's own properties."""
        job = await self._job(request)
        changes = await _object(request)
        for key, value in changes.items():
            if key not in _CHANGEABLE or not isinstance(value, _CHANGEABLE[key]) or value == "":
                raise HttpError(400, f"{key[:60]!r} cannot be changed, or not to this")
        changed = await self._service.work(self._store.change, job.id, changes)
        if changed is None:
            raise HttpError(404, "there is no such transcription")
        return JSONResponse(self._describe(request, changed))

    async def delete(self, request: Request) -> Response:
        """Delete a transcription and its results, even while it is worked on."""
        job_id = request.path_params["id"]
        await self._service.work(self._store.delete, job_id)
        self._workers.cancel(job_id)
        return Response(status_code=204)

    async def files(self, request: Request) -> Response:
        """List the result files of a transcription."""
        job = await self._job(request)
        results = await self._service.work(self._store.results, job.id)
        values = [self._file(request, job, result) for result in results if result.body is not None]
        if job.status in {Status.SUCCEEDED, Status.FAILED}:
            values.append(self._report(request, job, results))
        return JSONResponse({"values": values})

    async def file(self, request: Request) -> Response:
        """Describe one result file."""
        job, result, results = await self._result(request)
        return JSONResponse(self._file(request, job, result) if result else self._report(request, job, results))

    async def content(self, request: Request) -> Response:
        """Return what one result file holds."""
        job, result, results = await self._result(request)
        if result is not None:
            return Response(result.body, media_type="application/json")
        return JSONResponse(_report_body(job, results))

    async def _job(self, request: Request) -> Job:
        job = await self._service.work(self._store.get, request.path_params["id"])
        if job is None:
            raise HttpError(404, "there is no such transcription")
        return job

    async def _result(self, request: Request) -> tuple[Job, Result | None, list[Result]]:
        """Return the result a request names, or ``None`` for the report, and all results."""
        job = await self._job(request)
        results = await self._service.work(self._store.results, job.id)
        wanted = request.path_params["file"]
        if wanted == REPORT and job.status in {Status.SUCCEEDED, Status.FAILED}:
            return job, None, results
        for result in results:
            if result.id == wanted and result.body is not None:
                return job, result, results
        raise HttpError(404, "there is no such file")

    def _describe(self, request: Request, job: Job) -> dict[str, Any]:
        address = f"{_base(request)}/{job.id}"
        kept = ("displayName", "description", "locale", "customProperties", "contentUrls", "contentContainerUrl")
        body: dict[str, Any] = {
            "self": address, "links": {"files": f"{address}/files"}, "status": job.status.value,
            "createdDateTime": job.created, "lastActionDateTime": job.acted,
            "properties": job.definition.get("properties") or {},
        }  # fmt: skip
        return body | {key: job.definition[key] for key in kept if job.definition.get(key) is not None}

    def _file(self, request: Request, job: Job, result: Result) -> dict[str, Any]:
        size = len((result.body or "").encode())
        name = f"contenturl_{result.number}.json"
        return self._described(request, job, result.id, name, "Transcription", result.created, size)

    def _report(self, request: Request, job: Job, results: list[Result]) -> dict[str, Any]:
        size = len(json.dumps(_report_body(job, results)))
        return self._described(request, job, REPORT, "report.json", "TranscriptionReport", job.acted, size)

    def _described(
        self, request: Request, job: Job, file_id: str, name: str, kind: str, created: str, size: int
    ) -> dict[str, Any]:
        address = f"{_base(request)}/{job.id}/files/{file_id}"
        # Programs fetch the content without showing a key, as from Azure's storage: the address carries a token.
        token = "" if self._gate.open else f"?access_token={self._gate.issue()}"
        return {
            "self": address, "name": name, "kind": kind, "properties": {"size": size}, "createdDateTime": created,
            "links": {"contentUrl": f"{address}/content{token}"},
        }  # fmt: skip


def _report_body(job: Job, results: list[Result]) -> dict[str, Any]:
    failed = [result for result in results if result.error is not None]
    details = [
        {"source": job.sources[r.number], "status": "Succeeded"} if r.error is None
        else {"source": job.sources[r.number], "status": "Failed", "errorMessage": r.error, "errorKind": "InvalidData"}
        for r in results
    ]  # fmt: skip
    return {
        "successfulTranscriptionsCount": len(results) - len(failed), "failedTranscriptionsCount": len(failed),
        "details": details,
    }  # fmt: skip


def _base(request: Request) -> str:
    path = request.url.path
    return f"{str(request.base_url).rstrip('/')}{path[: path.index('/transcriptions')]}/transcriptions"


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise HttpError(400, f"{name} must be a number")
    return int(text)


async def _object(request: Request) -> Mapping[str, Any]:
    try:
        body = parse_json(await read_body(request, LONGEST_BODY))
    except ValueError:
        raise HttpError(400, "the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise HttpError(400, "the body must be a JSON object")
    return body
