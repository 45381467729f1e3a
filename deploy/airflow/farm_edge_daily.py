"""Airflow DAG: `trainer daily` for every date, with one ingest task a station before it.

Airflow decides when and how often; what is done, and whether it is done already, the commands know.
Each task is one `trainer` command and may be run again at any time. Exit codes: 11 (nothing new)
and 10 (the gate refused) end a date well and show as skipped; 75 (not out yet, quota, no link)
is tried again each hour until the late morning, when KMA has the day before.

Environment of the workers: TRAINER_CONFIG, KMA_SERVICE_KEY, `trainer` on the path, and
FARM_EDGE_START, the first date to work (Korean; dates missed since then are caught up).
"""

from __future__ import annotations

import json
import os
from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

TIME_ZONE = "Asia/Seoul"
DATE = "{{ logical_date.in_timezone('" + TIME_ZONE + "').to_date_string() }}"
DAY_BEFORE = "{{ logical_date.in_timezone('" + TIME_ZONE + "').subtract(days=1).to_date_string() }}"


def stations(plan: str) -> list[dict[str, str]]:
    """Environment of each station's task, from what `trainer ingest --dry-run --json` printed."""
    return [{"STATION": number} for number in sorted(json.loads(plan)["stations"], key=int)]


with DAG(
    dag_id="farm_edge_daily",
    description="Weather in, models out: one date of the trainer",
    schedule="0 2 * * *",
    start_date=pendulum.parse(os.environ.get("FARM_EDGE_START", "2026-11-01"), tz=TIME_ZONE),
    catchup=True,
    max_active_runs=1,
    default_args={
        "retries": 10,
        "retry_delay": timedelta(hours=1),
        "skip_on_exit_code": [10, 11],
        "append_env": True,
    },
    tags=["farm-edge"],
) as dag:
    plan = BashOperator(
        task_id="plan",
        # Airflow hands on the last line that a command prints.
        bash_command=(
            "set -o pipefail; "
            f"trainer ingest --dry-run --json --to {DAY_BEFORE} --quiet | tr -d '\\n'"
        ),
        output_processor=stations,
    )
    ingest = BashOperator.partial(
        task_id="ingest",
        bash_command=f'trainer ingest --station "$STATION" --to {DAY_BEFORE} --quiet',
        # One writer at a time holds the lake; a second one would only be sent away with 75.
        max_active_tis_per_dagrun=1,
    ).expand(env=plan.output)
    # One station that fails must not keep the others from their forecast: `daily` has its own word.
    daily = BashOperator(
        task_id="daily",
        bash_command=f"trainer daily --date {DATE} --quiet",
        trigger_rule="all_done",
    )
    ingest >> daily
