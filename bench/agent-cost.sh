#!/usr/bin/env bash
# CPU time and memory of the agent at one second, beside node_exporter scraped at one second, in one run.
#
#   bench/agent-cost.sh [SECONDS]      needs target/release/muster, curl and Debian's prometheus-node-exporter
set -euo pipefail
seconds=${1:-60}
muster=${MUSTER_BIN:-target/release/muster}
work=$(mktemp -d)
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port)
exporter_port=$(free_port)
started=()
cleanup() { kill "${started[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"; }
trap cleanup EXIT

"$muster" server --data-dir "$work/data" --listen "127.0.0.1:$port" >/dev/null 2>"$work/server.log" & server=$!
started+=("$server")
until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/-/ready"; do sleep 0.1; done
token=$("$muster" enroll-token --data-dir "$work/data" | tail -n 1)
"$muster" agent --server "http://127.0.0.1:$port" --token "$token" --state-dir "$work/agent" --interval 1s 2>/dev/null & agent=$!
started+=("$agent")
prometheus-node-exporter --web.listen-address="127.0.0.1:$exporter_port" >/dev/null 2>&1 & exporter=$!
started+=("$exporter")
while sleep 1; do
  curl --silent --header 'Accept-Encoding: gzip' --output /dev/null "http://127.0.0.1:$exporter_port/metrics" || true
done & started+=("$!")
sleep 10

ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
hz=$(getconf CLK_TCK)
agent_before=$(ticks "$agent"); server_before=$(ticks "$server"); exporter_before=$(ticks "$exporter")
sleep "$seconds"
share() { awk -v a="$1" -v b="$2" -v s="$seconds" -v hz="$hz" 'BEGIN { printf "%.2f", (b - a) / hz / s * 100 }'; }
memory() { awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }
printf '%-34s %10s %9s\n' process '% of core' 'RSS MiB'
printf '%-34s %10s %9s\n' 'agent, 1 s' "$(share "$agent_before" "$(ticks "$agent")")" "$(memory "$agent")"
printf '%-34s %10s %9s\n' 'node_exporter, scraped at 1 s' "$(share "$exporter_before" "$(ticks "$exporter")")" "$(memory "$exporter")"
printf '%-34s %10s %9s\n' 'server, this one agent' "$(share "$server_before" "$(ticks "$server")")" "$(memory "$server")"
