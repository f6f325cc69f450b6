"""Local clusters of Spark and Flink with two workers each, and Beam's job servers in front of them.

The engines come from PyPI (pyspark, apache-flink-libraries). Beam's job servers are not published as programs in every
repository; they are started from the runners' libraries, which Maven resolves (`java/*.xml`).
"""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import apache_beam

from lit_precompute.commands import embed_worker
from tests.engines.servers import free_port

HERE = pathlib.Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "engines"
# What Spark's own launcher passes on Java 17.
_OPENS = [
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in (
        *("java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util"),
        *("java.util.concurrent", "java.util.concurrent.atomic", "sun.nio.ch", "sun.nio.cs", "sun.security.action"),
        "sun.util.calendar",
    )
]


def jars(engine):
    """Returns the jars of Beam's runner for an engine, which Maven fetches once."""
    pom, found = HERE / "java" / f"{engine}.xml", BUILD / f"{engine}.classpath"
    if not found.exists() or found.stat().st_mtime < pom.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        command = ["mvn", "-q", "-B", "-f", pom, "dependency:build-classpath", f"-Dmdep.outputFile={found}"]
        subprocess.run([str(part) for part in command], check=True, timeout=600)
    return [pathlib.Path(jar) for jar in found.read_text().split(":")]


def _artifact(jar):
    """Returns a jar's name without its version."""
    return re.match(r".+?(?=-\d|$)", jar.stem)[0]


def _home(package):
    (place,) = importlib.util.find_spec(package).submodule_search_locations
    return pathlib.Path(place)


def spark(servers):
    """Starts Spark's master, two workers and the job server; returns a job's flags."""
    home, port, job_port = _home("pyspark"), free_port(), free_port()
    url = f"spark://127.0.0.1:{port}"
    local = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "512m"}
    run = [home / "bin" / "spark-class"]
    master = ["org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", port, "--webui-port", 0]
    servers.start("spark-master", [*run, *master], port=port, **local)
    worker = ["org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--cores", 1, "--memory", "1g"]
    for number in (1, 2):
        folder = ["--work-dir", servers.folder / f"spark-{number}", "--webui-port", 0, url]
        servers.start(f"spark-worker-{number}", [*run, *worker, *folder], says="Successfully registered", **local)
    sparks = sorted((home / "jars").glob("*.jar"))
    known = {_artifact(jar) for jar in sparks} - {"guava"}
    beams = [jar for jar in jars("spark") if _artifact(jar) not in known]
    (guava,) = (jar for jar in beams if _artifact(jar) == "guava")
    settings = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    settings["spark.executor.extraClassPath"] = str(guava)  # Beam needs a newer one than Spark has
    # A heartbeat that meets a task being unpacked is a NullPointerException in Beam's metrics, and was the last one.
    settings |= {"spark.executor.heartbeatInterval": "1800s", "spark.network.timeout": "3600s"}
    settings |= {"spark.executor.memory": "768m", "spark.ui.enabled": "false"}
    command = ["java", "-Xmx768m", *_OPENS, *(f"-D{name}={value}" for name, value in settings.items())]
    command += ["-cp", ":".join(map(str, [*beams, *sparks])), "org.apache.beam.runners.spark.SparkJobServerDriver"]
    command += ["--job-host", "127.0.0.1", "--job-port", job_port, "--artifact-port", 0, "--expansion-port", 0]
    command += ["--artifacts-dir", servers.folder / "artifacts", "--spark-master-url", url]
    servers.start("spark-job-server", command, port=job_port, **local)
    return _flags(job_port, beams)


_FLINK = {
    "jobmanager.rpc.address": "127.0.0.1",
    "jobmanager.bind-host": "127.0.0.1",
    "taskmanager.bind-host": "127.0.0.1",
    "taskmanager.host": "127.0.0.1",
    "rest.address": "127.0.0.1",
    "rest.bind-address": "127.0.0.1",
    "taskmanager.numberOfTaskSlots": "1",
    # What Flink's shell scripts, which PyPI does not have, would work out.
    "jobmanager.memory.process.size": "1024m",
    "taskmanager.cpu.cores": "1",
    "taskmanager.memory.task.heap.size": "256m",
    "taskmanager.memory.task.off-heap.size": "64m",
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.network.min": "256m",
    "taskmanager.memory.network.max": "256m",
    "taskmanager.memory.managed.size": "128m",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "64m",
    "taskmanager.memory.jvm-overhead.max": "64m",
    # A killed worker: the job goes on with what is lost.
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": "3",
    "restart-strategy.fixed-delay.delay": "1 s",
    "heartbeat.timeout": "120000",
    "akka.ask.timeout": "120 s",
    "classloader.check-leaked-classloader": "false",
}


_LOG = """
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
"""


def flink(servers):
    """Starts Flink's job manager, two task managers of one slot and the job server; returns a job's flags."""
    home, rpc, rest, job_port = _home("pyflink"), free_port(), free_port(), free_port()
    settings = _FLINK | {"jobmanager.rpc.port": str(rpc), "rest.port": str(rest), "rest.bind-port": str(rest)}
    folder = servers.folder / "flink"
    folder.mkdir()
    (folder / "config.yaml").write_text("".join(f'{name}: "{value}"\n' for name, value in settings.items()))
    (folder / "log4j2.properties").write_text(_LOG)
    log = f"-Dlog4j.configurationFile={folder}/log4j2.properties"
    java = ["java", "-Xmx512m", log, *_OPENS, "-cp", f"{home}/lib/*"]
    runtime = "org.apache.flink.runtime"
    manager = [f"{runtime}.entrypoint.StandaloneSessionClusterEntrypoint", "--configDir", folder]
    servers.start("flink-job-manager", [*java, *manager], port=rest)
    for number in (1, 2):
        command = [*java, f"{runtime}.taskexecutor.TaskManagerRunner", "--configDir", folder]
        servers.start(f"flink-task-manager-{number}", command, says="Successful registration at resource manager")
    beams = jars("flink")
    command = ["java", "-Xmx768m", *_OPENS, "-cp", ":".join(map(str, beams))]
    command += ["org.apache.beam.runners.flink.FlinkJobServerDriver", "--flink-master", f"127.0.0.1:{rest}"]
    command += ["--job-host", "127.0.0.1", "--job-port", job_port, "--artifact-port", 0, "--expansion-port", 0]
    command += ["--artifacts-dir", servers.folder / "artifacts"]
    servers.start("flink-job-server", command, port=job_port)
    staged = [jar for jar in beams if not jar.name.startswith("flink-")]
    return [*_flags(job_port, staged), "--parallelism=2"]


def prism(servers):
    """Starts Prism as a job server; returns a job's flags."""
    port = free_port()
    servers.start("prism", [prism_program(), f"--job_port={port}", "--serve_http=false"], port=port)
    return _flags(port, [])


def prism_program():
    """Returns Prism's program, which Go builds once."""
    program = BUILD / "prism"
    if not program.exists():
        module = f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{apache_beam.__version__}"
        environment = {**os.environ, "GOBIN": str(BUILD)}
        subprocess.run(["go", "install", module], check=True, timeout=1200, env=environment)
    return program


def _flags(job_port, staged):
    flags = ["--runner=PortableRunner", f"--job_endpoint=127.0.0.1:{job_port}"]
    return [*flags, *(f"--files_to_stage={jar}" for jar in staged)]


def workers(folder):
    """Returns the flags that make the engine start workers with this Python."""
    command = pathlib.Path(folder) / "lit-embed-worker"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m {embed_worker.__name__} "$@"\n')
    command.chmod(0o755)
    return ["--environment_type=PROCESS", f"--environment_options=process_command={command}"]
