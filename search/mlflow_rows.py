"""The first figures of a run written as rows, where MLflow's store is a database that this process opens itself."""

from collections.abc import Sequence
from typing import Any


def insert(client: Any, run_id: str, metrics: Sequence[Any], params: Sequence[Any]) -> bool:
    """Writes the rows that ``MlflowClient.log_batch`` would, of a run that has neither metrics nor parameters.

    That makes objects of SQLAlchemy's of them, 0.1 ms a metric of the interpreter that also drives the search.

    Args:
        client: MLflow's.
        run_id: of the run.
        metrics: MLflow's, of any number of steps.
        params: MLflow's.

    Returns:
        Whether all is written; else nothing is, and ``log_batch`` has to: with a server, or a schema of another MLflow.
    """
    store: Any = getattr(getattr(client, "_tracking_client", None), "store", None)
    if not hasattr(store, "ManagedSessionMaker"):
        return False
    try:
        from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam
        from sqlalchemy import insert as into

        rows = [_row(store, run_id, metric) for metric in metrics]
        latest: dict[str, dict[str, Any]] = {}
        for row in sorted(rows, key=lambda row: (row["step"], row["timestamp"], row["value"])):
            latest[row["key"]] = row
        parameters = [{"run_uuid": run_id, "key": param.key, "value": param.value} for param in params]
        with store.ManagedSessionMaker(read_only=False) as session:
            for table, values in ((SqlMetric, rows), (SqlLatestMetric, [*latest.values()]), (SqlParam, parameters)):
                if values:
                    session.execute(into(table.__table__), values)
    except Exception:  # whatever another version, or the database, makes of it: log_batch will tell
        return False
    return True


def _row(store: Any, run_id: str, metric: Any) -> dict[str, Any]:
    is_nan, value = store.sanitize_metric_value(metric.value)
    return {"run_uuid": run_id, "key": metric.key, "value": value, "timestamp": metric.timestamp,
            "step": metric.step, "is_nan": is_nan}  # fmt: skip
