"""Routes about runs: the list, one run, its learning curve."""

from fastapi import APIRouter
from fastapi.responses import FileResponse

from dashboard.runs import CURVE, run_summary, run_view
from dashboard.store import NotFound, RunsDir
from dashboard.views import RunSummary, RunView


def runs_router(runs: RunsDir, prefect_ui: str = "") -> APIRouter:
    """Routes below /api/runs that need only a run's name. `prefect_ui`: address of Prefect's pages."""
    router = APIRouter(prefix="/api/runs", tags=["runs"])

    @router.get("")
    def list_runs() -> list[RunSummary]:
        """Returns all runs, newest first."""
        return [run_summary(runs, name) for name in runs.names()]

    @router.get("/{run}")
    def show_run(run: str) -> RunView:
        """Returns one run with its table by iteration."""
        return run_view(runs, run, prefect_ui)

    @router.get("/{run}/learning_curve.png", response_class=FileResponse)
    def learning_curve(run: str) -> FileResponse:
        """Returns the picture that the loop draws after each iteration."""
        path = runs.run(run) / CURVE
        if not runs.has(path):
            raise NotFound(f"run {run} has no learning curve yet; it is drawn after the first evaluation")
        return FileResponse(path, media_type="image/png", headers={"cache-control": "no-cache"})

    return router
