#!/bin/sh
# Removes the Muster agent of this host with all that its installation left; it lies on each host, so that nothing has to be fetched for it.
set -eu

binary=/usr/local/bin/muster
settings=/etc/muster/agent.env
state=/var/lib/muster-agent
user=muster-agent
unit=/etc/systemd/system/muster-agent.service
remover=/usr/local/lib/muster/uninstall.sh

has() { command -v "$1" >/dev/null 2>&1; }
under_systemd() { [ -d /run/systemd/system ] && has systemctl; }

remove_unit() {
  if under_systemd; then
    systemctl --quiet disable --now muster-agent 2>/dev/null || true
  fi
  rm -rf "$unit" "$unit.d"
  if under_systemd; then
    systemctl daemon-reload
    systemctl reset-failed muster-agent 2>/dev/null || true
  fi
}

remove_files() {
  # A program that was there before the agent stays.
  if [ -e "$settings" ] && ! grep -q '^# keep-binary=yes' "$settings"; then
    rm -f "$binary"
  fi
  rm -rf "$settings" "$state" "$remover"
  rmdir "${settings%/*}" "${remover%/*}" 2>/dev/null || true
}

remove_user() {
  if grep -q "^$user:" /etc/passwd; then
    if has userdel; then
      userdel "$user"
    else
      deluser "$user"
    fi
  fi
  if grep -q "^$user:" /etc/group; then
    if has groupdel; then
      groupdel "$user"
    else
      delgroup "$user"
    fi
  fi
}

main() {
  [ "$(id -u)" = 0 ] || {
    echo 'muster: this needs root: run it with sudo' >&2
    exit 1
  }
  remove_unit
  remove_files
  remove_user
  echo 'muster: removed. The server still lists this host; an administrator can remove it there too.'
}

# The whole script is read before it removes itself.
main
