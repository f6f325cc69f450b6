"""Reads a template's metadata as Google's own client does, in Dataflow's environment: unknown fields are errors."""

import sys

from google.cloud.dataflow_v1beta3 import TemplateMetadata
from google.protobuf import json_format

if __name__ == "__main__":
    read = json_format.Parse(sys.stdin.read(), TemplateMetadata.pb()(), ignore_unknown_fields=False)
    print(len(read.parameters), {one.param_type for one in read.parameters})
