#!/usr/bin/env bash
# CPU time, memory and traffic of the agent, beside node_exporter scraped at the same pace, all in one run.
#
#   bench/agent-cost.sh [SECONDS] [ROUNDS]     needs target/release/muster, python3, curl and Debian's prometheus-node-exporter
#
# Two agents report to one server by TLS: one sends every second, one at the default cadence (sends every 5 s, records
# every second). Two node_exporters are scraped every second and every 15 s.
# The agents run from a copy of the binary, so that no page of it counts as theirs that only the server has touched.
# CPU time is the kernel's count of nanoseconds over all threads of a process, those that have ended included; traffic is
# what the connection carried in both directions, headers of TCP and IP left out. Each figure is the median of the rounds,
# which all processes go through at the same time.
set -euo pipefail
seconds=${1:-60}
rounds=${2:-3}
muster=${MUSTER_BIN:-target/release/muster}
work=$(mktemp -d)
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
started=()
cleanup() { kill "${started[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"; }
trap cleanup EXIT

port=$(free_port)
"$muster" server --data-dir "$work/data" --listen "127.0.0.1:$port" --tls auto >/dev/null 2>"$work/server.log" & server=$!
started+=("$server")
until curl --silent --insecure --fail --output /dev/null "https://127.0.0.1:$port/-/ready"; do sleep 0.1; done
processes=()
add() { started+=("$2"); processes+=("$1=$2"); }
cp "$muster" "$work/agent"
agent() {
  local name=$1 invitation; shift
  invitation=$("$muster" enroll-token --data-dir "$work/data")
  "$work/agent" agent --server "https://127.0.0.1:$port" --token "$(tail -n 1 <<<"$invitation")" \
    --ca-fingerprint "$(grep --only-matching 'sha256:[0-9a-f]*' <<<"$invitation" | head -n 1)" \
    --instance "$name" --state-dir "$work/state-$name" "$@" 2>"$work/$name.log" &
  add "agent, $name" $!
}
agent '1 s' --interval 1s
agent '5 s'
exporter() {
  local exporter_port; exporter_port=$(free_port)
  prometheus-node-exporter --web.listen-address="127.0.0.1:$exporter_port" >/dev/null 2>&1 &
  add "node_exporter, $1 s" $!
  while sleep "$1"; do
    curl --silent --header 'Accept-Encoding: gzip' --output /dev/null "http://127.0.0.1:$exporter_port/metrics" || true
  done & started+=("$!")
}
exporter 1
exporter 15
processes+=("server, these agents=$server")
sleep 20

python3 - "$seconds" "$rounds" "$port" "${processes[@]}" <<'PYTHON'
import ctypes, re, statistics, subprocess, sys, time

class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]

libc = ctypes.CDLL(None)

def cpu_seconds(pid):
    clock, now = ctypes.c_int(), Timespec()
    if libc.clock_getcpuclockid(pid, ctypes.byref(clock)) or libc.clock_gettime(clock, ctypes.byref(now)):
        sys.exit(f"process {pid} has ended")
    return now.seconds + now.nanoseconds / 1e9

def wakes(pid):
    status = subprocess.run(f"cat /proc/{pid}/task/*/status", shell=True, capture_output=True, text=True).stdout
    return sum(map(int, re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.M)))

def memory(pid):
    status = open(f"/proc/{pid}/status").read()
    return [int(re.search(rf"^{name}:\s*(\d+)", status, re.M)[1]) / 1024 for name in ("VmRSS", "RssAnon")]

def traffic(pid, port):
    """Bytes that the process's connection to the server has carried, both ways."""
    lines = subprocess.run(["ss", "-tinHp", f"dport = :{port}"], capture_output=True, text=True).stdout
    lines = re.sub(r"\n\s+", " ", lines).splitlines()
    mine = [line for line in lines if f"pid={pid}," in line]
    return sum(int(n) for line in mine for n in re.findall(r"bytes_(?:sent|received):(\d+)", line))

length, rounds, port = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
processes = [(name, int(pid)) for name, pid in (text.rsplit("=", 1) for text in sys.argv[4:])]
figures = {name: [] for name, _ in processes}
for _ in range(rounds):
    look = lambda: {name: (time.monotonic(), cpu_seconds(pid), wakes(pid), traffic(pid, port)) for name, pid in processes}
    before = look()
    time.sleep(length)
    for name, now in look().items():
        elapsed, *rest = (b - a for a, b in zip(before[name], now))
        figures[name].append([value / elapsed for value in rest])
print(f"{'process':<28} {'% of core':>10} {'wakes/s':>8} {'bytes/s':>8} {'RSS MiB':>8} {'anonymous':>10}")
for name, pid in processes:
    cpu, woken, carried = (statistics.median(column) for column in zip(*figures[name]))
    resident, anonymous = memory(pid)
    carried = f"{carried:.0f}" if carried else "-"
    print(f"{name:<28} {cpu * 100:>10.4f} {woken:>8.1f} {carried:>8} {resident:>8.1f} {anonymous:>10.1f}")
PYTHON
