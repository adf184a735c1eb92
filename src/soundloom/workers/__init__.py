"""Child processes that can be killed: one protocol over pipes for decoding, drawing and training.

A codec that crashes, hangs or exhausts memory ends its process and nothing else, and Python code in several processes
runs at the same time. :class:`ChildProcess` starts ``python -m soundloom.workers.child TARGET``; the target is a
function of a module, called there with a :class:`soundloom.workers.child.Channel`.
"""

from soundloom.workers.child_process import ChildLostError, ChildProcess

__all__ = ["ChildLostError", "ChildProcess"]
