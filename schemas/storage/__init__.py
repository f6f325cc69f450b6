"""Files, local or remote: the only package that knows file systems.

Promises: a published file appears whole or not at all, even if the process is killed; a path that contains "://" is
read through fsspec, any other is local; a read that a server or a network broke is tried again, and an outage is never
taken for a file that does not exist. A `Folder` is written to in the same way on disk and in stores.

Not here: what the files mean.
"""

from lit_precompute.schemas.storage.answers import StorageError as StorageError
from lit_precompute.schemas.storage.answers import http_status as http_status
from lit_precompute.schemas.storage.answers import in_words as in_words
from lit_precompute.schemas.storage.batches import Batch as Batch
from lit_precompute.schemas.storage.caching.file_cache import Content as Content
from lit_precompute.schemas.storage.caching.file_cache import FetchingStopped as FetchingStopped
from lit_precompute.schemas.storage.caching.file_cache import FileCache as FileCache
from lit_precompute.schemas.storage.caching.file_cache import file_cache as file_cache
from lit_precompute.schemas.storage.driver_modules import driver_module as driver_module
from lit_precompute.schemas.storage.drivers import WEB_SCHEMES as WEB_SCHEMES
from lit_precompute.schemas.storage.file_systems import check_scheme as check_scheme
from lit_precompute.schemas.storage.file_systems import local_path as local_path
from lit_precompute.schemas.storage.folders import Folder as Folder
from lit_precompute.schemas.storage.folders import open_folder as open_folder
from lit_precompute.schemas.storage.listing import Names as Names
from lit_precompute.schemas.storage.listing import list_names as list_names
from lit_precompute.schemas.storage.names import HOW_TO_MEND as HOW_TO_MEND
from lit_precompute.schemas.storage.names import JOB_REPORT_NAME as JOB_REPORT_NAME
from lit_precompute.schemas.storage.names import MANIFEST_NAME as MANIFEST_NAME
from lit_precompute.schemas.storage.names import WORK_FOLDER as WORK_FOLDER
from lit_precompute.schemas.storage.names import DatasetError as DatasetError
from lit_precompute.schemas.storage.names import beside as beside
from lit_precompute.schemas.storage.names import is_url as is_url
from lit_precompute.schemas.storage.names import not_quite_a_url as not_quite_a_url
from lit_precompute.schemas.storage.names import refuse_url as refuse_url
from lit_precompute.schemas.storage.paths import absolute as absolute
from lit_precompute.schemas.storage.publishing import lock_file as lock_file
from lit_precompute.schemas.storage.publishing import publish as publish
from lit_precompute.schemas.storage.publishing import publish_folder as publish_folder
from lit_precompute.schemas.storage.publishing import unique_name as unique_name
from lit_precompute.schemas.storage.publishing import write_bytes_atomically as write_bytes_atomically
from lit_precompute.schemas.storage.publishing import write_text_atomically as write_text_atomically
from lit_precompute.schemas.storage.reading import FoundFile as FoundFile
from lit_precompute.schemas.storage.reading import copy_file as copy_file
from lit_precompute.schemas.storage.reading import file_sha256 as file_sha256
from lit_precompute.schemas.storage.reading import file_version as file_version
from lit_precompute.schemas.storage.reading import find_described as find_described
from lit_precompute.schemas.storage.reading import find_files as find_files
from lit_precompute.schemas.storage.reading import is_file as is_file
from lit_precompute.schemas.storage.reading import is_folder as is_folder
from lit_precompute.schemas.storage.reading import open_file as open_file
from lit_precompute.schemas.storage.reading import read_range as read_range
from lit_precompute.schemas.storage.receiving import Receiver as Receiver
from lit_precompute.schemas.storage.remote_bytes import read_pieces as read_pieces
from lit_precompute.schemas.storage.retrying import DEFAULT_PATIENCE as DEFAULT_PATIENCE
from lit_precompute.schemas.storage.retrying import Patience as Patience
from lit_precompute.schemas.storage.retrying import count_retried as count_retried
from lit_precompute.schemas.storage.retrying import num_retried as num_retried
from lit_precompute.schemas.storage.retrying import telling_of_retries as telling_of_retries
from lit_precompute.schemas.storage.retrying import with_patience as with_patience
