#!/bin/sh
# Installs, renews or removes the Muster agent of this host; made by a Muster server, version @VERSION@.
#
# Whoever runs it has compared its SHA-256 with the one on the server's page, or got it over a connection that was verified.
# The SHA-256 of each program stands below, so what is fetched from here on needs no trust in the network.
set -eu
umask 022

# Architecture, SHA-256: one a line.
binaries='@BINARIES@'

binary=/usr/local/bin/muster
settings=/etc/muster/agent.env
state=/var/lib/muster-agent
user=muster-agent
unit=/etc/systemd/system/muster-agent.service
remover=/usr/local/lib/muster/uninstall.sh

usage() {
  cat <<'USAGE'
usage: install.sh --server URL [--ca-fingerprint sha256:HEX] [OPTION...]
       install.sh [OPTION...]      once installed: renews the program, changes what the options say
       install.sh --uninstall      the same as, once installed: sudo sh /usr/local/lib/muster/uninstall.sh

The join token is the variable MUSTER_TOKEN, or --token-file FILE, or --token T (others on this host may see that one).
  --instance NAME       name of this host [its host name]
  --allow-updates       let the agent take releases from the server that are signed and newer; --deny-updates ends it
  --release-key HEX     an Ed25519 public key for those releases, beside the one that the program was built with
  --with LIST           more than the agent gets otherwise, with commas between (--with none takes all back):
                          process-io     read and written bytes of everybody's processes (CAP_SYS_PTRACE)
                          hidden-mounts  file systems below folders closed to others (CAP_DAC_READ_SEARCH)
                          docker         names of containers, by Docker's socket; its group is as good as root
  --no-start            install, and start nothing
USAGE
}

say() { printf 'muster: %s\n' "$*"; }
die() {
  printf 'muster: %s\n' "$*" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }
under_systemd() { [ -d /run/systemd/system ] && has systemctl; }

# Only what cannot change the meaning of a line in the settings or the unit.
plain() {
  case $2 in
    *[!][A-Za-z0-9._~:/@%,=+-]*) die "$1: '$2' holds a character that cannot stand there" ;;
  esac
}

# The value of a setting of the installation that is there.
known() {
  [ -r "$settings" ] || return 0
  sed -n "s/^$1=//p" "$settings" | tail -n 1
}

read_options() {
  token=${MUSTER_TOKEN:-} uninstall='' start=yes keep=''
  unset MUSTER_TOKEN
  server=$(known MUSTER_SERVER)
  fingerprint=$(known MUSTER_CA_FINGERPRINT)
  instance=$(known MUSTER_INSTANCE)
  updates=$(known MUSTER_ALLOW_UPDATES)
  key=$(known MUSTER_TRUSTED_RELEASE_KEY)
  with=$(known '# with')
  keep=$(known '# keep-binary')
  while [ $# -gt 0 ]; do
    option=$1
    shift
    case $option in
      --uninstall) uninstall=yes && continue ;;
      --allow-updates) updates=true && continue ;;
      --deny-updates) updates='' && continue ;;
      --no-start) start='' && continue ;;
      --help | -h) usage && exit 0 ;;
      --server | --ca-fingerprint | --instance | --token | --token-file | --release-key | --with) ;;
      *) usage >&2 && die "unknown option $option" ;;
    esac
    [ $# -gt 0 ] || die "$option needs a value"
    plain "$option" "$1"
    case $option in
      --server) server=$1 fingerprint='' ;;
      --ca-fingerprint) later_fingerprint=$1 ;;
      --instance) instance=$1 ;;
      --token) token=$1 ;;
      --token-file) token=$(cat "$1") ;;
      --release-key) key=$1 ;;
      --with) with=$1 ;;
    esac
    shift
  done
  fingerprint=${later_fingerprint:-$fingerprint}
  [ "$with" != none ] || with=''
  plain 'the token' "$token"
}

# What has to be true before anything is changed.
check_host() {
  [ "$(uname -s)" = Linux ] || die "this is $(uname -s); the agent runs on Linux"
  [ "$(id -u)" = 0 ] || die 'this needs root: run it with sudo'
}

check_wanted() {
  case $server in
    http://* | https://*) ;;
    '') die 'where is the server? give --server https://HOST:6868, as its page does under Add a host' ;;
    *) die "--server $server is no address; write it like https://monitor.example.org:6868" ;;
  esac
  [ -n "$token" ] || [ -e "$state/identity.key" ] ||
    die 'this host has not joined yet and needs a token: make one on the page (Add a host) or with muster enroll-token'
  capabilities=CAP_SYSLOG groups=''
  for extra in $(printf '%s' "$with" | tr , ' '); do
    case $extra in
      process-io) capabilities="$capabilities CAP_SYS_PTRACE" ;;
      hidden-mounts) capabilities="$capabilities CAP_DAC_READ_SEARCH" ;;
      docker)
        grep -q '^docker:' /etc/group || die '--with docker: this host has no group docker'
        groups='SupplementaryGroups=docker'
        ;;
      *) die "--with $extra: there are process-io, hidden-mounts and docker" ;;
    esac
  done
}

get() {
  if has curl; then
    curl -fsSLk --retry 2 "$1" -o "$2"
  elif has wget; then
    wget -q --no-check-certificate "$1" -O "$2"
  else
    die 'this needs curl or wget'
  fi
}

sha256_of() {
  has sha256sum || die 'this needs sha256sum (coreutils or busybox)'
  sha256sum <"$1" | cut -d ' ' -f 1
}

# Whether the program has to be removed with the agent is known only before anything is changed.
decide_keep() {
  if [ -e "$binary" ] && [ ! -e "$settings" ]; then
    # Somebody else put it there, and may need it after the agent is gone.
    keep=yes
  fi
}

# The program beside its place, checked; nothing where the right one lies there already.
fetch_binary() {
  new=''
  architecture=$(uname -m)
  wanted=$(printf '%s\n' "$binaries" | sed -n "s/^$architecture //p")
  [ -n "$wanted" ] || die "this server has no program for $architecture, only for:
$(printf '%s\n' "$binaries" | cut -d ' ' -f 1)
An administrator can put muster-linux-$architecture into its folder downloads."
  if [ -e "$binary" ] && [ "$(sha256_of "$binary")" = "$wanted" ]; then
    return 0
  fi
  mkdir -p "$(dirname "$binary")"
  trap 'rm -f "$new"' EXIT
  # A shell that a signal ends does not come to its EXIT by itself.
  trap 'exit 1' INT TERM HUP
  new=$(mktemp "$binary.XXXXXX")
  get "${server%/}/download/muster-linux-$architecture" "$new" ||
    die "cannot fetch the program from $server; is the address right, and open from here?"
  [ "$(sha256_of "$new")" = "$wanted" ] ||
    die "what came from $server is not the program that this script was made for; get the script again"
  chmod 755 "$new"
  "$new" --version >/dev/null 2>&1 ||
    die "the program does not run on this system ($("$new" --version 2>&1 | head -n 1))"
}

place_binary() {
  [ -n "$new" ] || return 0
  mv -f "$new" "$binary"
  new=''
  trap - EXIT INT TERM HUP
}

make_user() {
  grep -q "^$user:" /etc/passwd && return 0
  shell=/usr/sbin/nologin
  [ -e "$shell" ] || shell=/sbin/nologin
  if has useradd; then
    group=--user-group
    ! grep -q "^$user:" /etc/group || group="--gid=$user"
    useradd --system "$group" --home-dir "$state" --no-create-home --shell "$shell" "$user"
  else
    grep -q "^$user:" /etc/group || addgroup -S "$user"
    adduser -S -D -H -h "$state" -s "$shell" -G "$user" "$user"
  fi
}

# Runs a line of shell as the agent's account, with that account's rights and no more.
as_agent() {
  if setpriv --reuid="$user" --regid="$user" --clear-groups true 2>/dev/null; then
    setpriv --reuid="$user" --regid="$user" --clear-groups sh -c "$1"
  elif has runuser; then
    runuser -u "$user" -- sh -c "$1"
  else
    su -s /bin/sh "$user" -c "$1"
  fi
}

# Any name in the agent's folder may be a link that the account made, so root writes and changes nothing by one.
make_state() {
  mkdir -p "$state"
  chown "$user:$user" "$state"
  chmod 700 "$state"
  if [ -n "$token" ]; then
    # The agent takes it from here and removes it once it has joined.
    printf '%s\n' "$token" | as_agent "cd '$state' && umask 077 && rm -f join-token.new &&
      cat >join-token.new && mv -f join-token.new join-token" ||
      die "the account $user cannot write the token into $state"
  fi
}

# What somebody else has written into the settings, line by line.
foreign_settings() {
  [ -e "$settings" ] || return 0
  own='# with|# keep-binary|MUSTER_SERVER|MUSTER_CA_FINGERPRINT|MUSTER_INSTANCE'
  own="$own|MUSTER_ALLOW_UPDATES|MUSTER_TRUSTED_RELEASE_KEY"
  grep -Ev "^(# Settings of the Muster agent;.*|($own)=.*)\$" "$settings" || true
}

write_settings() {
  mkdir -p "$(dirname "$settings")"
  # Written into a copy, the new file is as closed to others as the old one.
  [ ! -e "$settings" ] || cp -p "$settings" "$settings.new"
  {
    echo '# Settings of the Muster agent; after a change: systemctl restart muster-agent'
    echo "MUSTER_SERVER=$server"
    [ -z "$fingerprint" ] || echo "MUSTER_CA_FINGERPRINT=$fingerprint"
    [ -z "$instance" ] || echo "MUSTER_INSTANCE=$instance"
    [ -z "$updates" ] || echo "MUSTER_ALLOW_UPDATES=$updates"
    [ -z "$key" ] || echo "MUSTER_TRUSTED_RELEASE_KEY=$key"
    echo "# with=$with"
    [ -z "$keep" ] || echo "# keep-binary=$keep"
    foreign_settings
  } >"$settings.new"
  mv -f "$settings.new" "$settings"
}

uninstall_script() {
  cat <<'UNINSTALL'
@UNINSTALL@
UNINSTALL
}

# What removes the agent again is no newer and no older than what installed it.
write_remover() {
  mkdir -p "$(dirname "$remover")"
  uninstall_script >"$remover.new"
  mv -f "$remover.new" "$remover"
}

write_unit() {
  version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
  restart='RestartSec=2'
  if [ "${version:-0}" -ge 254 ]; then
    restart='RestartSec=2\nRestartSteps=6\nRestartMaxDelaySec=60'
  fi
  sed -e "s/@CAPABILITIES@/$capabilities/" -e "s/@GROUPS@/$groups/" -e "s/@RESTART@/$restart/" >"$unit.new" <<'UNIT'
@UNIT@
UNIT
  mv -f "$unit.new" "$unit"
}

# Whether the agent has joined: then the token is gone.
wait_until_joined() {
  tries=0
  while [ -e "$state/join-token" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 30 ]; then
      say "the agent runs, but has not joined $server yet; it goes on trying. Why: journalctl -u muster-agent"
      return 0
    fi
    sleep 1
  done
  say "this host reports to $server"
}

start_agent() {
  if ! under_systemd; then
    say "installed. There is no systemd here; let your init start this, as $user, and again when it ends:"
    say "  set -a; . $settings; MUSTER_STATE_DIR=$state; exec $binary agent"
    return 0
  fi
  write_unit
  systemctl daemon-reload
  if [ -z "$start" ]; then
    say 'installed; start it with: systemctl enable --now muster-agent'
    return 0
  fi
  systemctl --quiet enable muster-agent
  systemctl restart muster-agent ||
    die 'the agent does not start. Why: journalctl -u muster-agent'
  wait_until_joined
}

main() {
  read_options "$@"
  check_host
  if [ -n "$uninstall" ]; then
    uninstall_script | sh
    return 0
  fi
  check_wanted
  decide_keep
  fetch_binary
  write_settings
  write_remover
  make_user
  make_state
  place_binary
  start_agent
  say "to remove it all again: sudo sh $remover"
}

# The whole script is read before anything is done: one that broke off on its way does nothing.
main "$@"
