"""Files at addresses: http://, https://, s3://, gs:// and az://, read by ranges of bytes.

with open_binary("https://example.org/day.flac") as file:  # or a path of this machine
file.seek(-128, os.SEEK_END)
file.read(128)
"""

from soundloom.remote.locations import absolute_location, existing, is_there
from soundloom.remote.ranged_file import RangedFile
from soundloom.remote.remote_files import FileStatus, file_status, is_address, open_binary

__all__ = [
    "FileStatus", "RangedFile", "absolute_location", "existing", "file_status", "is_address", "is_there", "open_binary",
]  # fmt: skip
