"""Reports about judges in MLflow: figures as metrics and the whole report as an artifact of the run's MLflow run."""

import re
import time

from flows.settings.run_folder import RunFolder
from flows.tracking.tracking import connect, reachable
from judging.meta.report import JudgeReport
from storage.errors import LoopError

PREFIX = "judge_report"
FIGURES = ("decided", "undecided", "kappa", "cost", "cost_per_verdict", "tokens_per_verdict", "seconds_per_verdict")
RATES = ("false_positive_rate", "false_negative_rate", "precision")


def log_reports(folder: RunFolder, reports: list[JudgeReport]) -> str:
    """Logs the reports; returns the artifact's name. Raises `LoopError` if MLflow has no such run, or does not answer."""
    run_id = folder.record().mlflow_run_id
    if run_id is None:
        raise LoopError(f"run {folder.name} has no MLflow run yet; --json writes the report to a file")
    import httpx
    from mlflow.entities import Metric
    from mlflow.exceptions import MlflowException

    now, artifact = int(time.time() * 1_000), f"{PREFIX}/{_named(reports[0])}.json"
    try:
        client = connect(reachable(folder))
        metrics = [
            Metric(key, value, now, 0) for report in reports for key, value in sorted(figures_of(report).items())
        ]
        client.log_batch(run_id, metrics=metrics)
        client.log_dict(run_id, {"reports": [report.model_dump(mode="json") for report in reports]}, artifact)
    except (httpx.HTTPError, MlflowException) as error:
        words = " ".join(str(error).split())[:200]
        raise LoopError(f"MLflow could not be written ({words}); --json writes the report to a file") from error
    return artifact


def figures_of(report: JudgeReport) -> dict[str, float]:
    """A report's figures by their names in MLflow; those without a denominator are left out."""
    data = report.model_dump(include={*FIGURES, *RATES})
    single = {name: value[0] if isinstance(value, tuple | list) else value for name, value in data.items()}
    return {f"{PREFIX}/{_named(report)}/{name}": float(value) for name, value in single.items() if value is not None}


def _named(report: JudgeReport) -> str:
    return re.sub(r"[^\w.-]+", "_", f"{report.judge} against {report.reference}")[:120]
