"""The source of a launch: where it is, its files, and its plan if the job has one or this process can make it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.moved_source import check_same_source, under_first_names
from lit_precompute.pipelines.embed.planning.plan import Plan, make_plan
from lit_precompute.pipelines.embed.planning.planned_files import PlannedFiles
from lit_precompute.precompute.sources.folders.source import FolderSource
from lit_precompute.precompute.sources.looking import look_into
from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.source import ListedFile, Source
from lit_precompute.schemas.claims import ClaimError
from lit_precompute.schemas.storage import absolute


class FoundSource(NamedTuple):
    """A source and its files.

    Attributes:
      source: how its files are opened and read.
      files: by the names that the source knows them by.
      versions: of its local files, when they were listed.
      plan: None if workers have to look into the files first.
    """

    source: Source
    files: Sequence[ListedFile]
    versions: PlannedFiles
    plan: Plan | None


def find_source(options: EmbedOptions, directory: JobDirectory) -> FoundSource:
    """Returns the source, its files, and the plan of the job that owns the output if no file has changed.

    Raises:
      SourceError: there is no such source.
      ClaimError: the output would be in it.
    """
    source = make_source(options.source)
    if isinstance(source, FolderSource) and directory.noted() is None:
        _refuse_inside(directory.folder.path, source.path)
    files = source.files()
    paths = [file.path for file in files]
    plan = directory.plan()
    if plan is not None and plan.source.path == source.path and _is_unchanged(plan, files):
        return FoundSource(source, files, PlannedFiles.of(paths, paths), plan)
    first = directory.first_source()
    if first is not None and first.path != source.path and (moved := under_first_names(options.source, files, first)):
        source, files = moved
    return FoundSource(source, files, PlannedFiles.of([file.path for file in files], paths), None)


def look_here(
    found: FoundSource, options: EmbedOptions, directory: JobDirectory, progress: Callable[[int, int], None]
) -> FoundSource:
    """Returns the source with its plan, looking into its files in this process if need be.

    Raises:
      SourceError: a file cannot be read or breaks a rule, there are no rows, or a key repeats.
      ClaimError: the output belongs to a job with other content.
    """
    if found.plan is not None:
        return found
    looked = look_into(found.source, options.rows_per_slice, files=found.files, progress=progress)
    plan = make_plan(
        looked.source,
        looked.files,
        looked.looks,
        looked.survey,
        rows_per_unit=options.rows_per_shard,
        limit=options.limit,
        limit_seed=options.limit_seed,
    )
    check_source(directory, options, plan)
    return found._replace(plan=directory.plan() or plan)


def check_source(directory: JobDirectory, options: EmbedOptions, plan: Plan) -> None:
    """Compares what was found in the source with what the owner of an output found.

    Raises:
      ClaimError: the content, or how it is read, differs.
    """
    if (first := directory.first_source()) is not None:
        check_same_source(directory.folder.path, options.source.path, plan.source, first)
        directory.check({"source": plan.describe()["source"]})


def check_listing(found: FoundSource, directory: JobDirectory) -> None:
    """Compares the listing with what the owner of the output found, where only workers can look into the files.

    Raises:
      ClaimError: files were added, removed or changed.
    """
    first = directory.first_source()
    if first is None or found.plan is not None:
        return
    if [file.path for file in found.files] == [file.path for file in first.files] and directory.is_published():
        return
    raise ClaimError(
        f"{directory.folder.path}: belongs to another job: the files of {found.source.path} are not those of "
        f"{first.path} when the output was begun, or have changed since; choose another --output"
    )


def _refuse_inside(output: str, folder: str) -> None:
    """Raises ClaimError if an output would be in a folder that is listed with all that is below."""
    source = absolute(folder, what="--source", writing=False)
    if f"{output}/".startswith(f"{source}/"):
        raise ClaimError(
            f"{output}: is in the folder of images that is to be embedded, {folder}, which must not change meanwhile; "
            "choose another --output"
        )


def _is_unchanged(plan: Plan, files: Sequence[ListedFile]) -> bool:
    known = [(file.path, version) for file, version in zip(plan.source.files, plan.versions, strict=True)]
    return known == [(file.path, file.version) for file in files] and all(version for _, version in known)
