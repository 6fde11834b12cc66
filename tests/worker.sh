#!/bin/sh
# A worker of pytest-xdist, which starts it as it would a Python: of processes it sees those that it started, and no other
# worker's network managers and agents, for which servers of the lab are looked through. They end with it.
# Process 1 of such a place has to take those in whose parent has ended; a shell that waits does. Root may have it so.
python=$(dirname "$0")/../.venv/bin/python
unshare --pid --fork --mount-proc true 2>/dev/null || exec "$python" "$@"
exec unshare --pid --fork --kill-child --mount-proc -- sh -c '"$@" <&3 3<&- & exec 3<&-; wait $!' sh "$python" "$@" 3<&0
