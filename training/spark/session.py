"""The Spark session of this process: on this machine, or on the cluster to which `spark-submit` brought it.

pyspark and Java are needed for this engine alone: nothing of them is imported before a session is asked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from features.errors import ConfigurationError, DependencyError
from features.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    # The lake's own times are in microseconds, and so is what comes back.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.ui.showConsoleProgress": "false",
}


def spark_session(settings: Settings) -> SparkSession:
    """The session of this process, begun if there is none yet (some seconds); it ends with the process.

    Below `spark-submit`, master and memory are what was given there; else `spark_master` and `spark_memory`.
    Raises ConfigurationError when pyspark is not installed, DependencyError when Spark does not start.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigurationError(
            "als_engine: spark needs pyspark, which is not installed: pip install 'photo-recommender[spark]'"
        ) from error
    builder = SparkSession.builder.appName("photo-recommender")
    for name, value in ALWAYS.items():
        builder = builder.config(name, value)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # executors need the packages that are installed here
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # `spark-submit` sets it for the program that it runs
        builder = builder.master(settings.spark_master).config("spark.driver.memory", settings.spark_memory)
        builder = builder.config("spark.ui.enabled", "false")
    try:
        with spark_errors():
            session = builder.getOrCreate()
    except PySparkException as error:
        raise DependencyError(
            f"Spark does not start at {settings.spark_master}: {error}. It needs Java 17 (`java -version`), and a "
            "master that answers"
        ) from error
    session.sparkContext.setLogLevel("ERROR")
    return session


@contextmanager
def spark_errors() -> Iterator[None]:
    """What goes wrong in Spark as errors of ours, without the traces of Java and Python. Raises DependencyError."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (Py4JError, PySparkException) as error:
        lines = [line for line in str(error).splitlines() if line and not line[0].isspace()]
        said = " … ".join(dict.fromkeys([*lines[:1], *lines[-1:]])) or type(error).__name__
        raise DependencyError(f"Spark failed: {said}. Its log says more") from error
